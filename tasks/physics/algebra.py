r"""What math-verify and SymPy say of two formulas: a process of its own, a line a pair.

``python -m tasks.physics.algebra`` reads JSON lines [left, right] and answers true, false, or null for what it cannot
read, or not in `SECONDS` of processor time. Symbols are given other names first, alike on both sides: math-verify
itself reads ``V`` as ``v`` and ``I`` as the imaginary unit.
"""

from __future__ import annotations

import json
import logging
import re
import resource
import signal
import sys
import time
import warnings
from pathlib import Path
from types import FrameType

from tasks.physics.spelling import GREEK

SECONDS = 2.0
"""Processor time of a pair."""

MEMORY = 2 << 30
"""Bytes of address space beyond those that the libraries take; a power of powers would take all there is."""

_SYMBOL = re.compile(
    r"\\(?P<command>[A-Za-z]+)(?P<marks>(?:_\{[^{}]*\})*'*)|(?P<letter>[A-Za-z])(?P<rest>(?:_\{[^{}]*\})*'*)"
)


class OutOfTimeError(Exception):
    """The pair took longer than it may."""


def renamed(left: str, right: str) -> tuple[str, str]:
    """Both texts with another symbol for each of theirs; differentials, ``e`` and ``i`` alone stay."""
    names: dict[str, str] = {}
    letters = iter([*"xyztuvwabcfghjklmnopqrs", *(f"x_{{{number}}}" for number in range(1, len(left + right)))])

    def name(match: re.Match[str]) -> str:
        command = match["command"]
        if command is not None and command not in GREEK:
            return match[0]
        if match[0] in ("d", "e", "i"):
            return match[0]
        if match[0] not in names:
            names[match[0]] = next(letters)
        return names[match[0]] if command is None else f" {names[match[0]]}"

    return _SYMBOL.sub(name, left), _SYMBOL.sub(name, right)


def are_equal(left: str, right: str) -> bool | None:
    """What math-verify says of two LaTeX texts; None where it reads nothing in one."""
    from math_verify import LatexExtractionConfig, parse, verify

    sides = [
        parse(
            f"${side}$",
            extraction_config=[LatexExtractionConfig()],
            fallback_mode="no_fallback",
            extraction_mode="first_match",
            parsing_timeout=None,
        )
        for side in renamed(left, right)
    ]
    if not all(sides):
        return None
    return bool(verify(sides[1], sides[0], timeout_seconds=None))


def main() -> None:
    """Answer lines until there are no more."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    are_equal("x", "x")  # loads the libraries before the memory is bounded
    _bound_memory()
    signal.signal(signal.SIGPROF, _stop)
    _say("ready")
    for line in sys.stdin:
        left, right = json.loads(line)
        _bound_time()
        try:
            verdict = are_equal(left, right)
        except (Exception, RecursionError):  # noqa: BLE001 - a formula of a model can break both libraries in any way
            verdict = None
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        _say(json.dumps(verdict))


def _bound_time() -> None:
    """A signal after `SECONDS`; a step that no signal interrupts ends the process a little later."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + SECONDS) + 2, hard))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _stop(signum: int, frame: FrameType | None) -> None:
    raise OutOfTimeError


def _bound_memory() -> None:
    statistics = Path("/proc/self/statm")
    if statistics.is_file():  # Linux
        pages = int(statistics.read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)


if __name__ == "__main__":
    main()

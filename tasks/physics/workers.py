"""Processes that compare formulas, so that no pair can hang the one that asked.

A worker bounds a pair by processor time itself; one that does not come back (a step inside a library that no signal
interrupts) is ended, and the pair has no verdict.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.errors import StropError
from harness.types import Advance

PROCESSES = max(1, min(8, os.cpu_count() or 1))

PATIENCE = 60.0
"""Seconds after which a worker is ended: it measures processor time, which on a busy machine takes longer."""

START = 600.0
"""Seconds that a worker may take to load its libraries, for the same reason."""

_ROOT = Path(__file__).resolve().parents[2]

_verdicts: dict[tuple[str, str], bool | None] = {}
"""What was asked before in this process."""

_idle: list[_Worker] = []
_lock = threading.Lock()


def equal_by_algebra(pairs: Sequence[tuple[str, str]], advance: Advance | None = None) -> list[bool | None]:
    """Whether math-verify and SymPy find each pair of spelled LaTeX texts equal; None where they cannot say, or not in
    time (`tasks.physics.algebra`). Raises `StropError` where the processes do not start."""
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in _verdicts]
    if missing:
        with ThreadPoolExecutor(min(PROCESSES, len(missing))) as threads:
            for pair, verdict in zip(missing, threads.map(_ask, missing), strict=True):
                _verdicts[pair] = verdict
                if advance:
                    advance(1)
    return [_verdicts[pair] for pair in pairs]


class _Worker:
    """One process of `tasks.physics.algebra`."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.physics.algebra"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        try:
            self._line(START)  # it is ready
        except TimeoutError as error:
            self.end()
            raise StropError(
                "the process that compares formulas does not start; `python -m tasks.physics.algebra` says why"
            ) from error

    def ask(self, pair: tuple[str, str]) -> bool | None:
        """Raises `TimeoutError` where the process does not answer, or ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(pair).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise TimeoutError from error
        verdict: bool | None = json.loads(self._line())
        return verdict

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self, patience: float = PATIENCE) -> bytes:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], patience)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise TimeoutError
        return line


def _ask(pair: tuple[str, str]) -> bool | None:
    with _lock:
        worker = _idle.pop() if _idle else None
    worker = worker or _Worker()
    try:
        verdict = worker.ask(pair)
    except TimeoutError:
        worker.end()
        return None
    with _lock:
        _idle.append(worker)
    return verdict


def end_workers() -> None:
    """End the processes that wait for work."""
    with _lock:
        while _idle:
            _idle.pop().end()


atexit.register(end_workers)

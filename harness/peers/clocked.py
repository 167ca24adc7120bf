"""A command in a process of its own, and what it took: as a whole, and within the function that answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from harness.errors import StropError
from harness.files import read_json
from harness.wording import last_line

CLOCK = Path(__file__).with_name("clock.py")

LOG = "log.txt"

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""On every side: threads that wait for each other count as computing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """Seconds on the clock on the wall and of computing (all threads), of answering (`wall`, `cpu`) and of the whole
    process, its start and what it loads included (`whole_wall`, `whole_cpu`); the most bytes of memory that it had."""

    wall: float
    cpu: float
    whole_wall: float
    whole_cpu: float
    peak: int


def run_clocked(
    python: Path, function: str, command: str, words: Sequence[str], out: Path, environment: Mapping[str, str]
) -> Taken:
    """Run a module as a command by this Python, in one thread; `function` of it (`harness.peers.clock`) is answering.

    `out` is a folder for the log and the clock's report. Raises `StropError` with the last line of the log where the
    command fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    report, log = out / "clock.json", out / LOG
    begun = perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            # -P: what lies beside the clock hides no module
            [str(python), "-P", str(CLOCK), str(report), function, command, *words],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env={**environment, **ONE_THREAD},
        )  # fmt: skip
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    whole = perf_counter() - begun
    if process.returncode or not report.is_file():
        raise StropError(f"{command}: ended with {process.returncode} ({last_words(log)})")
    answering = read_json(report)
    return Taken(
        wall=answering["wall"],
        cpu=answering["cpu"],
        whole_wall=whole,
        whole_cpu=usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )


def last_words(log: Path) -> str:
    """The last line of a command's log."""
    return last_line(log.read_text(encoding="utf-8", errors="replace"))[:300]

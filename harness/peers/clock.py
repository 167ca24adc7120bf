"""Runs a module as its command line does, and writes what one of its functions took:
`python clock.py REPORT MODULE:FUNCTION COMMAND WORDS...`

The Python of another environment runs it, where nothing of ours is: it imports the standard library alone.
"""

from __future__ import annotations

import json
import runpy
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any


def run_clocked(report: Path, function: str, command: str, words: list[str]) -> None:
    """REPORT becomes {"wall", "cpu"}: seconds within FUNCTION (a dotted name behind its module's), all calls added
    up; `cpu` is of all threads of this process."""
    module, _, path = function.partition(":")
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    inner, seconds = getattr(owner, name), {"wall": 0.0, "cpu": 0.0}

    def clocked(*arguments: Any, **options: Any) -> Any:
        wall, cpu = perf_counter(), process_time()
        try:
            return inner(*arguments, **options)
        finally:
            seconds["wall"] += perf_counter() - wall
            seconds["cpu"] += process_time() - cpu

    setattr(owner, name, clocked)
    sys.argv = [command, *words]
    try:
        runpy.run_module(command, run_name="__main__", alter_sys=True)
    finally:
        report.write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    run_clocked(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])

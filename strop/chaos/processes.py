"""Commands of `strop` as processes that are forked from one in which the libraries are loaded already.

The runs of a grid, which are processes of their own, are forked too: a kill costs no half minute of imports.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.forks import Child, Starter
from strop import forks
from strop.chaos.points import Fault, Shared, install

PRELOADED = (
    "harness.engine", "harness.measure", "harness.models.endpoint", "harness.models.load", "leaderboards.ablation_text",
    "loops.baselines", "loops.grid", "loops.monitors.counting", "loops.optimise.trial", "loops.optimise.with_trl",
    "loops.run", "scipy.ndimage", "scipy.stats", "strop.app", "strop.running", "tasks.pictos.benchmarks",
    "tasks.physics", "tasks.registry", "trl.trainer.dpo_trainer", "trl.trainer.grpo_trainer",
)  # fmt: skip
"""Modules that the commands load."""

_FORKS = multiprocessing.get_context("forkserver")


class Command:
    """A command at work, its operations on the files of `folder` counted in `shared`; what it says goes into `log`."""

    def __init__(self, words: Sequence[str], folder: Path, log: Path, shared: Shared, fault: Fault | None) -> None:
        _FORKS.set_forkserver_preload(list(PRELOADED))
        self.shared = shared
        self._process = _FORKS.Process(target=_work, args=(list(words), folder, log, shared.path, fault))
        self._process.start()

    def end(self, seconds: float | None = None) -> int | None:
        """Its exit code, negative for a signal's number; None where it is still at work after so many seconds."""
        self._process.join(seconds)
        return self._process.exitcode

    def send(self, number: int) -> None:
        """A signal; one that has ended does not hear it."""
        with contextlib.suppress(ProcessLookupError, AttributeError):
            os.kill(self._process.pid or 0, number)

    def kill_all(self) -> None:
        """Kill it and the run below it at once, as a machine that goes down does."""
        self.send(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            if self.shared.below:
                os.kill(self.shared.below, signal.SIGKILL)
        self.end()


def _work(words: list[str], folder: Path, log: Path, shared: Path, fault: Fault | None) -> None:
    gc.freeze()
    counts = Shared(shared)
    _forked_runs(counts)
    install(folder, counts, fault)
    _speak_into(log)
    _run(words)


def _run(words: Sequence[str]) -> None:
    from strop.app import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us in the background made us deaf
    sys.argv = ["strop", *words]
    main()


def _speak_into(log: Path) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)


class _Forked:
    """A run of a grid, as a `harness.forks.Child`."""

    def __init__(self, process: BaseProcess) -> None:
        self.process = process

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float) -> int:
        self.process.join(timeout)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired([str(self.process.pid)], timeout)
        return status

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()


def _forked_runs(shared: Shared) -> None:
    """Make grids fork their runs from this process, which tells `shared` of them."""

    def start(command: Sequence[str], log: Path) -> Child:
        words = command[len(forks.PROGRAM) :]
        process = multiprocessing.get_context("fork").Process(target=_below, args=(words, log))
        process.start()
        shared.name_below(process.pid or 0)
        return _Forked(process)

    def starter_of(grid: object) -> Starter:
        return lambda environment: contextlib.nullcontext(start)

    forks.starter_of = starter_of


def _below(words: Sequence[str], log: Path) -> None:
    _speak_into(log)
    _run(words)

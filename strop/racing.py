"""`strop bench`: how often as fast `strop eval` answers as other harnesses do, and what more samples cost it.

Every side is its own command in a process of its own, in one thread: the same weights, questions and precision, greedy.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.errors import StropError
from strop.timings import Timing, short

if TYPE_CHECKING:
    from harness.models.options import ModelOptions
    from harness.peers.clocked import Taken
    from harness.peers.peers import Ready

ROOT = Path(__file__).resolve().parents[1]

TRIED = 512
"""Questions, at most, on which a peer's sizes of batch are tried."""

GROWTH = (1, 4, 16)

WHAT = {
    "cpu": "seconds of computing to answer, models loaded before",
    "wall": "the same by the clock on the wall",
    "whole_cpu": "seconds of computing of the whole command, from its start on",
}
"""What is compared: `harness.peers.clocked.Taken` has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """A task's first `limit` samples, to be answered by a model."""

    task: str
    limit: int
    model: str
    options: ModelOptions

    def answer(self, out: Path) -> tuple[Taken, list[str]]:
        """What `strop eval` took, its own store and opening of pictures included, and its answers."""
        from harness.peers.clocked import run_clocked
        from harness.results import read_results

        words = ["eval", "--model", self.model, "--tasks", self.task, "--limit", str(self.limit), "--out", str(out)]
        for name, value in self.options.keywords.items():
            if value is not None and name in ("device", "dtype", "attn_implementation"):
                words += [f"--{name.replace('_', '-')}", str(value)]
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths}
        taken = run_clocked(
            Path(sys.executable), "harness.engine:ask", "strop", words, out.with_name(out.name + "-log"), environment
        )
        return taken, [row.answer for row in read_results(out).tasks[0].rows]


def against_peers(names: Sequence[str], courses: Sequence[Course], runs: int) -> Iterator[Timing]:
    """Each peer's figure by ours, a run of ours before each run of theirs; a peer that cannot be asked is skipped."""
    for course in courses:
        with tempfile.TemporaryDirectory(prefix="strop-bench-") as scratch:
            ready: dict[str, tuple[Ready, int]] = {}
            for name in names:
                try:
                    ready[name] = _prepared(name, course, Path(scratch))
                except StropError as error:
                    yield Timing(name=f"{course.task} against {name}", unit="x", about=f"skipped: {error}")
            yield from _raced(course, ready, runs, Path(scratch))


def _prepared(name: str, course: Course, scratch: Path) -> tuple[Ready, int]:
    """A peer that can be asked, and its best size of batch."""
    from harness.models.load import precision
    from harness.models.loading import usable_device
    from harness.models.weights import model_folder, weights_size
    from harness.peers.peers import Questions, ready
    from tasks.pictos.models import shipped
    from tasks.registry import find_task

    task = find_task(course.task)
    folder = shipped(course.model) or model_folder(course.model)
    device = usable_device(course.options.device)
    questions = Questions(
        samples=task.samples("test")[: course.limit],
        max_tokens=task.max_tokens,
        checkpoint=folder,
        device=device,
        dtype=str(precision(course.options.dtype, device, weights_size(folder))).removeprefix("torch."),
    )
    peer = ready(name, questions, scratch / name)
    return peer, peer.best_batch(min(TRIED, course.limit), scratch / f"{name}-batches")


def _raced(course: Course, ready: Mapping[str, tuple[Ready, int]], runs: int, scratch: Path) -> Iterator[Timing]:
    if not ready:
        return
    ours: list[Taken] = []
    theirs: dict[str, list[Taken]] = {name: [] for name in ready}
    answers: dict[str, list[str]] = {}
    broken: dict[str, StropError] = {}
    for run in range(runs):
        taken, answers[""] = course.answer(scratch / f"ours-{run}")
        ours.append(taken)
        for name, (peer, batch) in ready.items():
            try:
                taken, answers[name] = peer.answer(batch, None, scratch / f"{name}-{run}")
                theirs[name].append(taken)
            except StropError as error:
                broken[name] = error
    for name, (peer, batch) in ready.items():
        title = f"{course.task} against {name}"
        if name in broken:
            yield Timing(name=title, unit="x", about=f"skipped: {broken[name]}")
            continue
        samples = peer.questions.samples
        others = [
            {"id": sample.id, "ours": own, "theirs": other}
            for sample, own, other in zip(samples, answers[""], answers[name], strict=True)
            if own != other
        ]
        same = f"{len(samples) - len(others):,} of {len(samples):,} answers are the same"
        for what, words in WHAT.items():
            figures = [
                (getattr(own, what), getattr(other, what)) for own, other in zip(ours, theirs[name], strict=True)
            ]
            mine, other = (median(side) for side in zip(*figures, strict=True))
            details: dict[str, Any] = {"ours_s": mine, "theirs_s": other, "batch": batch}
            yield Timing(
                name=title if what == "cpu" else f"{title}, {what.replace('_', ' ')}",
                unit="x",
                about=f"{words}: {short(mine)} s, {short(other)} s by {' '.join(peer.peer.packages[:1])} in batches of "
                f"{batch}" + (f"; {same}" if what == "cpu" else ""),
                runs=tuple(other / own for own, other in figures),
                details=details | ({"other_answers": others} if what == "cpu" else {}),
            )


def growth(course: Course, runs: int) -> Iterator[Timing]:
    """Seconds a sample and peak memory of 16 times as many samples by those of the first, and of 4 times as many."""
    taken: dict[int, list[Taken]] = {times: [] for times in GROWTH}
    try:
        for _ in range(runs):
            for times in GROWTH:
                with tempfile.TemporaryDirectory(prefix="strop-bench-") as scratch:
                    larger = Course(
                        task=course.task, limit=times * course.limit, model=course.model, options=course.options
                    )
                    taken[times].append(larger.answer(Path(scratch) / "out")[0])
    except StropError as error:
        yield Timing(name="growth with samples", unit="x", about=f"skipped: {error}")
        return
    for times in GROWTH[1:]:
        pairs = list(zip(taken[1], taken[times], strict=True))
        yield Timing(
            name=f"{times} x the samples, time of answering a sample",
            unit="x",
            about=f"{median(few.cpu for few, _ in pairs):.3g} s of computing for {course.limit} questions of "
            f"{course.task}, {median(many.cpu for _, many in pairs):.3g} s for {times * course.limit}",
            runs=tuple(many.cpu / few.cpu / times for few, many in pairs),
        )
        yield Timing(
            name=f"{times} x the samples, peak memory",
            unit="x",
            about=f"{median(few.peak for few, _ in pairs) / 1e6:,.0f} MB, then "
            f"{median(many.peak for _, many in pairs) / 1e6:,.0f} MB, of the whole process",
            runs=tuple(many.peak / few.peak for few, many in pairs),
        )

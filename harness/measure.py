"""Measuring a model: ask its tasks' questions, mark the answers, estimate every metric, file the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from harness.engine import Progress, evaluate
from harness.pictures import SHOWN_AS
from harness.provenance import provenance
from harness.results import Results, write_results
from harness.stats import as_plain, estimate
from harness.store import Answering, Store
from harness.types import Task

Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""figures[task][metric] is an `harness.stats.Estimate` as plain values."""


class Measured(Answering, Protocol):
    """A model that can be measured: `name` is shown to people, `about` is stored in the provenance of the results.
    `answered` and `cut` count its answers: all, and those that reached the maximum length."""

    answered: int
    cut: int

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> Mapping[str, Any]: ...


def measure(
    model: Measured,
    tasks: Sequence[Task],
    folder: Path,
    *,
    split: str,
    limit: int | None = None,
    max_tokens: Mapping[str, int] = MappingProxyType({}),
    max_thought_tokens: int | None = None,
    parent: str | None = None,
    store: Path | None = None,
    progress: Progress | None = None,
) -> Figures:
    """Evaluate `model` as `answer_tasks` does and write a results folder."""
    return write_measured(
        folder,
        answer_tasks(
            model,
            tasks,
            split=split,
            limit=limit,
            max_tokens=max_tokens,
            max_thought_tokens=max_thought_tokens,
            parent=parent,
            store=store,
            progress=progress,
        ),
    )


def answer_tasks(
    model: Measured,
    tasks: Sequence[Task],
    *,
    split: str,
    limit: int | None = None,
    max_tokens: Mapping[str, int] = MappingProxyType({}),
    max_thought_tokens: int | None = None,
    parent: str | None = None,
    store: Path | None = None,
    progress: Progress | None = None,
) -> Results:
    """Evaluate `model`. Answers already in `store` are not asked for again.

    `limit` keeps the first samples of each task, `max_tokens` and `max_thought_tokens` are as in
    `harness.engine.evaluate`; `parent` is the weights' digest of the checkpoint trained from.
    """
    kept = Store(store) if store else None
    results = evaluate(
        model, tasks, split=split, limit=limit, max_tokens=max_tokens, max_thought_tokens=max_thought_tokens,
        store=kept, progress=progress,
    )  # fmt: skip
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    origin = {**provenance(), "model": dict(model.about), "pictures": SHOWN_AS, "finished": finished}
    return Results(model=model.name, digest=model.digest, parent=parent, tasks=tuple(results), provenance=origin)


def write_measured(folder: Path, results: Results) -> Figures:
    """Estimate every metric of the results and write their folder."""
    figures = {result.task: as_plain(estimate(result.rows, result.metrics)) for result in results.tasks}
    write_results(folder, results, figures)
    return figures

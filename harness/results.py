"""Marked answers on disk: what `strop eval` and `strop score` leave and what boards and comparisons read.

A results folder holds `results.json` (who answered, which tasks, the definition and estimate of every metric) and one
`<task>.jsonl` a task with a row an answer. The metric definitions travel with the rows, so a folder can be compared
years later without the code of its tasks.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.disks import refuse_unwritable_folder
from harness.errors import DataError
from harness.files import (
    digest_of_file,
    digest_of_json,
    json_text,
    parsed,
    read_json,
    read_jsonl,
    write_json,
    write_jsonl,
)
from harness.runs.names import RESULTS
from harness.types import Metric, Sample, Score
from harness.wording import REPLACEMENT, counted, mended

_AGAIN = "put the folder back as it was, or evaluate or score the answers again into another"

FORMAT = 1
"""Of `results.json`; raised where an older Strop would read a newer folder wrongly."""

CHECK = "check"

SAME = 1e-9
"""Figures that differ by less, as fractions, are one figure summed in another order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The mark of an answer's surest sentences: `sentence` is the place of the one that this step adds, `sureness` how
    sure of it who ranked them is (both None for the answer of no sentence), `counts` as in `Score`, without zeros."""

    sentence: int | None
    sureness: float | None
    counts: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """One answer with its mark: a row of `<task>.jsonl`. `answer` is the model's own text, unchanged. `ranked` holds
    the answer's `Step`s (`harness.ranked`), by who ranked its sentences; empty where nobody did."""

    id: str
    cluster: str
    group: str | None
    answer: str
    value: float
    parsed: Any
    counts: Mapping[str, float]
    ranked: Mapping[str, Sequence[Step]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """All marked answers of one task, with what is needed to turn them into figures.

    `data` is `harness.provenance.data_digest` of the samples and `sampling` how answers were drawn. Where the answers
    came in a file, `data` is the digest of the truth's files and `sampling` empty. `frontier` is the task's
    (`harness.types.Ranked`), None where the rows are not ranked.
    """

    task: str
    version: int
    profile: str
    split: str
    headline: str
    metrics: tuple[Metric, ...]
    rows: tuple[Marked, ...]
    info: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    frontier: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """A results folder in memory. `model` is a name for people, `digest` of what `digest_of` says."""

    model: str
    digest: str
    parent: str | None
    tasks: tuple[TaskResult, ...]
    provenance: Mapping[str, Any]

    @property
    def digest_of(self) -> str:
        """What the digest is of: "weights", or where these are not known "answers" (a file), or a "served name"."""
        if "answers" in self.provenance:
            return "answers"
        return "served name" if "url" in (self.provenance.get("model") or {}) else "weights"

    @property
    def named(self) -> str:
        """The model's name, with the first digits of the hub's commit where the weights are of one that the name does
        not say."""
        commit = str((self.provenance.get("model") or {}).get("weights") or "").rpartition("@")[2]
        return self.model if commit in self.model else f"{self.model} ({commit[:8]})"

    @property
    def sight(self) -> str:
        """What the model was shown of pictures (`harness.models.frames.Sight`); empty where that is not known."""
        return str((self.provenance.get("model") or {}).get("pictures") or "")

    def task(self, name: str) -> TaskResult:
        for result in self.tasks:
            if result.task == name:
                return result
        raise DataError(f"these results hold no task '{name}'; they hold {', '.join(t.task for t in self.tasks)}")


def mark(sample: Sample, answer: str, score: Score, ranked: Mapping[str, Sequence[Step]] | None = None) -> Marked:
    """A scored answer as a row."""
    group = sample.meta.get("group")
    return Marked(
        id=sample.id,
        cluster=sample.cluster,
        group=group,
        answer=mended(answer),
        value=score.value,
        parsed=score.parsed,
        counts=score.counts,
        ranked=ranked or {},
    )


def with_replacement_sign(result: TaskResult) -> int:
    """How many answers hold the sign of replacement: half a letter was mended there, by us or by a tokenizer."""
    return sum(REPLACEMENT in row.answer for row in result.rows)


def write_results(folder: Path, results: Results, estimates: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a results folder. `estimates[task][metric]` is what `harness.stats.estimate` gave, as plain values.

    The rows are written first and `results.json` last, each atomically: a folder with `results.json` is whole. It holds
    the digest of each file of rows, and its own (`check`), by which a damaged file is told from what was written.
    """
    refuse_unwritable_folder(folder)
    (folder / RESULTS).unlink(missing_ok=True)  # of an earlier call, whose rows go now
    for result in results.tasks:
        write_jsonl(folder / f"{result.task}.jsonl", (dataclasses.asdict(row) for row in result.rows))
    content = {
        "format": FORMAT,
        "model": results.model,
        "digest": results.digest,
        "parent": results.parent,
        "tasks": [
            {
                "task": result.task,
                "version": result.version,
                "profile": result.profile,
                "split": result.split,
                "headline": result.headline,
                "n": len(result.rows),
                "rows": digest_of_file(folder / f"{result.task}.jsonl"),
                "unread": sum(row.parsed is None for row in result.rows),
                "with_replacement_sign": with_replacement_sign(result),
                "data": result.data,
                "sampling": dict(result.sampling),
                "frontier": result.frontier,
                "info": dict(result.info),
                "definitions": [dataclasses.asdict(metric) for metric in result.metrics],
                "metrics": estimates[result.task],
            }
            for result in results.tasks
        ],
        "provenance": dict(results.provenance),
    }
    write_json(folder / RESULTS, {**content, CHECK: _check(content)})


def read_results(folder: Path, *, figures: bool = True) -> Results:
    """Read a results folder; raises `DataError` naming the file where it is not one, is of a newer Strop, or
    contradicts itself: rows that are not as many as results.json says, have an id twice, or give another figure.

    Without `figures` the last is not looked at: what is only repeated, to see whether it is so (`strop rerun`).
    """

    def checked(entry: Mapping[str, Any]) -> TaskResult:
        result = _task(folder, entry)
        _refuse_other_rows(folder, result, entry["n"])
        if figures:
            _refuse_other_figures(folder, result, entry["metrics"])
        return result

    return _read(folder, lambda entries: tuple(map(checked, entries)), undamaged=figures)


def read_owner(folder: Path) -> Results:
    """Whose results a folder holds, without its tasks: what is needed before they are replaced."""
    return _read(folder, lambda _: ())


def _read(
    folder: Path, tasks: Callable[[Sequence[Mapping[str, Any]]], tuple[TaskResult, ...]], undamaged: bool = False
) -> Results:
    path = folder / RESULTS
    if not path.is_file():
        raise DataError(f"{folder} holds no results.json; write one with `strop eval --out` or `strop score --out`")
    try:
        raw = read_json(path)
        if raw["format"] != FORMAT:
            raise DataError(
                f"{path} is of format {raw['format']}, and this Strop reads format {FORMAT}; read it by the Strop that "
                "wrote it, or score the answers again"
            )
        results = Results(
            model=raw["model"],
            digest=raw["digest"],
            parent=raw["parent"],
            provenance=raw["provenance"],
            tasks=tasks(raw["tasks"]),
        )
        if undamaged:
            _refuse_damaged(path, raw.get(CHECK), _check(raw))  # before the rows, whose digests it holds
            for result, entry in zip(results.tasks, raw["tasks"], strict=True):
                rows = folder / f"{result.task}.jsonl"
                _refuse_damaged(rows, entry.get("rows"), digest_of_file(rows))
        return results
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a results file of this version ({error!r}); score the answers again") from error


def _task(folder: Path, raw: Mapping[str, Any]) -> TaskResult:
    if Path(raw["task"]).name != raw["task"]:  # files are named after it, here and where it is exported
        raise DataError(f"{folder / 'results.json'}: a task cannot be called '{raw['task']}'; its name is a file's")
    return TaskResult(
        task=raw["task"],
        version=raw["version"],
        profile=raw["profile"],
        split=raw["split"],
        headline=raw["headline"],
        metrics=_metrics(raw["definitions"]),
        rows=_rows(folder / f"{raw['task']}.jsonl"),
        info=raw["info"],
        data=raw.get("data"),
        sampling=raw.get("sampling", {}),
        frontier=tuple(raw["frontier"]) if raw.get("frontier") else None,
    )


def _check(content: Mapping[str, Any]) -> str:
    """The digest of all but the check, as it is read back."""
    return digest_of_json(parsed(json_text({name: value for name, value in content.items() if name != CHECK})))


def _refuse_damaged(path: Path, written: str | None, digest: str) -> None:
    """Raise `DataError` where a file's digest is not the one that was written; folders of before digests were written
    have none."""
    if written is not None and written != digest:
        raise DataError(f"{path} is not as it was written; {_AGAIN}")


def _refuse_other_rows(folder: Path, result: TaskResult, count: int) -> None:
    """Raise `DataError` where the rows are not `count` answers to a sample each."""
    path, rows = folder / f"{result.task}.jsonl", result.rows
    if len(rows) != count:
        raise DataError(f"{path} has {counted(len(rows), 'row')} and results.json says {count}; {_AGAIN}")
    twice = next((name for name, times in Counter(row.id for row in rows).items() if times > 1), None)
    if twice is not None:
        raise DataError(f"{path} answers sample '{twice}' twice; {_AGAIN}")


def _refuse_other_figures(folder: Path, result: TaskResult, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `DataError` where the rows do not give the figures in results.json."""
    from harness.stats import estimate

    path = folder / f"{result.task}.jsonl"
    for name, computed in estimate(result.rows, result.metrics, draws=1).items():
        stored = figures.get(name, {}).get("value")
        if not _same(stored, computed.value):
            raise DataError(
                f"{path}: its rows give {name} {_shown(computed.value)} where results.json says {_shown(stored)}; one "
                f"of the two was changed: {_AGAIN}"
            )


def _same(stored: float | None, computed: float | None) -> bool:
    return (
        stored is computed
        if stored is None or computed is None
        else abs(stored - computed) <= SAME * max(1.0, abs(computed))
    )


def _shown(value: float | None) -> str:
    return "0/0" if value is None else f"{value:.6g}"


def _rows(path: Path) -> tuple[Marked, ...]:
    if not path.exists():
        raise DataError(f"{path}: no such file, and results.json has its figures; {_AGAIN}")
    try:
        return tuple(map(_row, read_jsonl(path)))
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} has a row that is none of this version ({error!r}); {_AGAIN}") from error


def _row(raw: Mapping[str, Any]) -> Marked:
    ranked = {name: tuple(Step(**step) for step in steps) for name, steps in raw.get("ranked", {}).items()}
    return Marked(**{**raw, "ranked": ranked})


def _metrics(raw: Sequence[Mapping[str, Any]]) -> tuple[Metric, ...]:
    return tuple(Metric(**{**entry, "macro": tuple(entry["macro"])}) for entry in raw)

"""The sides of `strop parity`: stored results, or a model with the options that make it this backend and no other."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from harness.errors import UsageError
from harness.files import read_json, write_json
from harness.models.options import ModelOptions

if TYPE_CHECKING:
    from harness.measure import Measured
    from harness.results import Results
    from harness.types import Sample, Task
    from leaderboards.parity import Backend

OPTIONS = ("endpoint", "adapter", *(each.name for each in dataclasses.fields(ModelOptions)))
"""What may stand behind a model's name, each as OPTION=VALUE: `strop.models.load_model`'s parameters."""

WEIGHED = "log_probabilities.json"
"""Beside an asked side's results: task -> sample -> log-probability of its answer."""

BACKEND_FORMS = (
    "stored results (a folder, a run, runs/demo:1), or a model's name with options behind commas, such as "
    "pictos-seed,dtype=bfloat16 or my/llava,endpoint=http://localhost:8000/v1"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """What a side names: the folder of stored results, or else a model and `load_model`'s options."""

    text: str
    folder: Path | None = None
    model: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def named(text: str, runs: Path) -> Named:
    """What a side names (`BACKEND_FORMS`); nothing is loaded yet. A folder with a model in it is that model, and a name
    that leads to no results is a model's. Raises `UsageError` for an option that no model has."""
    from harness.runs.ids import locate
    from tasks.pictos.models import shipped

    name, *pieces = [text] if Path(text).exists() else text.split(",")
    if not name.strip():
        raise UsageError(f"a side is empty; name {BACKEND_FORMS}")
    options = dict(_option(piece, text) for piece in pieces)
    if not options and shipped(name) is None and not (Path(name) / "config.json").is_file():
        try:
            return Named(text=text, folder=locate(name, runs, same_figures_do=True).last)
        except UsageError:
            if Path(name).exists():
                raise
    return Named(text=text, model=name, options=options)


def _option(piece: str, text: str) -> tuple[str, str | float]:
    name, equals, value = piece.strip().partition("=")
    name = name.replace("-", "_")
    if not (equals and value and name in OPTIONS):
        near = difflib.get_close_matches(name, OPTIONS, n=1) or OPTIONS
        raise UsageError(f"{text}: '{piece}' is no option of a model; write NAME,OPTION=VALUE with {', '.join(near)}")
    if _hints().get(name) is float:
        try:
            return name, float(value)
        except ValueError:
            raise UsageError(f"{text}: {name} is a number, not '{value}'") from None
    allowed = [each for choice in get_args(_hints().get(name, str)) for each in (get_args(choice) or [choice])]
    literals = [each for each in allowed if isinstance(each, str)]
    if literals and value not in literals:
        raise UsageError(f"{text}: {name} is one of {', '.join(literals)}, not '{value}'")
    return name, value


def _hints() -> Mapping[str, Any]:
    return get_type_hints(ModelOptions)


def read_backend(folder: Path, tasks: Sequence[str]) -> Backend:
    """Stored results as a side, of these tasks or of all, with the log-probabilities of a side that was asked."""
    from harness.results import read_results
    from leaderboards.parity import Backend

    results = read_results(folder)
    if tasks:
        results = replace(results, tasks=tuple(results.task(name) for name in tasks))
    return Backend(results=results, log_probabilities=_kept(folder))


def ask_backend(
    model: str,
    options: Mapping[str, Any],
    tasks: Sequence[Task],
    *,
    split: str,
    limit: int | None,
    parallel: int,
    out: Path | None,
) -> Backend:
    """A model loaded, asked, and its own answers weighed; with `out`, a results folder, and the same call resumes."""
    from leaderboards.parity import Backend
    from strop.evaluation import evaluate

    loaded = _loaded(model, parallel=parallel, **options)
    results = evaluate(loaded, tasks, split=split, limit=limit, out=out, progress=True).results
    kept = _kept(out) if out else {}
    weighed = {task.name: _weighed(loaded, task, results, split, kept.get(task.name, {})) for task in tasks}
    if out:
        write_json(out / WEIGHED, {**kept, **weighed})
    tokenizer = getattr(loaded, "tokenizer", None)
    tokenise = None if tokenizer is None else tokenizer.tokenize
    return Backend(results=results, log_probabilities=weighed, tokenise=tokenise)


def _kept(folder: Path) -> dict[str, dict[str, float]]:
    """The log-probabilities that a folder holds."""
    path = folder / WEIGHED
    return dict(read_json(path)) if path.is_file() else {}


def _loaded(
    model: str, *, endpoint: str | None = None, adapter: str | None = None, parallel: int, **options: Any
) -> Measured:
    from strop.models import load_model, refuse_with_endpoint

    if endpoint is None:
        return load_model(model, adapter=adapter, **options)
    from harness.models.endpoint import Endpoint

    refuse_with_endpoint(ModelOptions(**options), adapter)
    return Endpoint(model, endpoint, parallel=parallel, weigh=True)


def _weighed(model: Measured, task: Task, results: Results, split: str, kept: Mapping[str, float]) -> dict[str, float]:
    """The log-probability of each answer to a task, by sample: what was `kept`, and else where the model tells it. An
    answer behind a thought has none, nor has what is no answer to one prompt: an episode, or likelihoods themselves."""
    from harness.models.endpoint import Endpoint
    from harness.store import Likely
    from harness.task_faults import samples_of
    from harness.thoughts import answer_of
    from harness.types import Continued, Interactive

    if isinstance(task, Continued | Interactive):
        return {}
    samples = {sample.id: replace(sample, target=None, meta={}) for sample in samples_of(task, split)}
    rows = results.task(task.name).rows
    new = [row for row in rows if row.id not in kept and not answer_of(row.answer).thought]
    questions: list[Sample] = [samples[row.id] for row in new]
    values: list[float | None] = [None] * len(new)
    if isinstance(model, Endpoint):
        values = [model.log_probabilities.get((sample.images, sample.prompt)) for sample in questions]
    elif isinstance(model, Likely):
        values = [value for value, _ in model.log_likelihood(questions, [row.answer for row in new])]
    weighed = {row.id: value for row, value in zip(new, values, strict=True) if value is not None}
    return {**kept, **weighed}

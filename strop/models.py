"""Models as the command line names them: loaded here, or served somewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from strop.options import PARALLEL

if TYPE_CHECKING:
    from harness.judge import Judge
    from harness.measure import Measured
    from harness.models.frames import Pictures
    from harness.results import TaskResult
    from harness.types import Sample, Scorer

KEPT = "judge.jsonl"
"""The file of a judge's replies, in the task's folder below the data folder."""


def open_model(
    name: str,
    *,
    endpoint: str | None = None,
    parallel: int = PARALLEL,
    adapter: str | None = None,
    device: str | None = None,
    pictures: Pictures | None = None,
) -> Measured:
    """The model so named at an endpoint or, without one, loaded here, where `pictures` says how it is shown them.

    Raises `UsageError` for options of the other.
    """
    if endpoint is not None:
        from harness.models.endpoint import Endpoint

        for option, value in (("--adapter", adapter), ("--device", device), ("--pictures", pictures)):
            if value is not None:
                raise UsageError(f"{option} is for a model that is loaded here; leave it away with an endpoint")
        return Endpoint(name, endpoint, parallel=parallel)
    from harness.models.vlm import load_vlm
    from tasks.pictos.models import shipped

    return load_vlm(name, path=shipped(name), adapter=adapter, device=device, pictures=pictures)


def open_judge(name: str | None, endpoint: str | None) -> Judge | None:
    """The judge that `--judge` and `--judge-endpoint` name, None where there is none."""
    from harness.judge import ModelJudge

    if name is None:
        if endpoint is not None:
            raise UsageError("--judge-endpoint says where a judge is served; name it by --judge")
        return None
    return ModelJudge(name=name, model=open_model(name, endpoint=endpoint))


def with_judge(
    judge: Judge | None, marked: Sequence[TaskResult], samples: Sequence[Sample], strict: Scorer, data: Path
) -> list[TaskResult]:
    """With a judge, what it makes of the strict result: in the place of that one, or beside all where there are more.

    `samples` are those of the rows, `strict` marks by that profile; replies are kept in the data folder.
    """
    if judge is None:
        return list(marked)
    from harness.profiles import PLAIN
    from harness.store import Store
    from strop.progress import progress_bars
    from tasks.reading.answer_judge import judge_unread

    (plain,) = (result for result in marked if result.profile == PLAIN)
    with progress_bars() as bars:
        store = Store(data.expanduser() / plain.task / KEPT)
        judged = judge_unread(plain, samples, strict, judge, store, partial(bars, f"judge, {plain.task}"))
    return [judged] if len(marked) == 1 else [*marked, judged]

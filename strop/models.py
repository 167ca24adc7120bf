"""Models by name: loaded here, or served at an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.judge import Judge
    from harness.measure import Measured
    from harness.models.frames import Pictures
    from harness.results import TaskResult
    from harness.types import Sample, Scorer

PARALLEL = 8
"""How many questions an endpoint is asked at once, by default."""

KEPT = "judge.jsonl"
"""The file of a judge's replies, in the task's folder below the data folder."""


def load_model(
    name: str,
    *,
    adapter: str | Path | None = None,
    endpoint: str | None = None,
    parallel: int = PARALLEL,
    device: str | None = None,
    pictures: Pictures | None = None,
) -> Measured:
    """A vision-language model, loaded here or, with `endpoint`, served there under its name.

    `name` is a shipped model (pictos-seed), a local folder, or a hub id with an optional @revision; `adapter` is a LoRA
    adapter to merge in, `device` cpu, cuda, cuda:1 ... (by default a GPU where there is one), `pictures` how they are
    shown ("pad" or "processor"). `endpoint` is the base URL of an OpenAI-compatible server, which is asked `parallel`
    questions at once.

    Raises `harness.errors.ModelError` where it cannot be loaded, `UsageError` for options of the other kind of model.

    Example:
        >>> import strop
        >>> model = strop.load_model("pictos-seed", device="cpu")
        >>> model.name, len(model.digest)
        ('pictos-seed', 64)
    """
    if endpoint is not None:
        from harness.models.endpoint import Endpoint

        for option, value in (("--adapter", adapter), ("--device", device), ("--pictures", pictures)):
            if value is not None:
                raise UsageError(f"{option} is for a model that is loaded here; leave it away with an endpoint")
        return Endpoint(name, endpoint, parallel=parallel)
    from harness.models.load import load_vlm
    from tasks.pictos.models import shipped

    return load_vlm(name, path=shipped(name), adapter=adapter, device=device, pictures=pictures)


def open_judge(name: str | None, endpoint: str | None) -> Judge | None:
    """The judge that `--judge` and `--judge-endpoint` name, None where there is none."""
    from harness.judge import ModelJudge

    if name is None:
        if endpoint is not None:
            raise UsageError("--judge-endpoint says where a judge is served; name it by --judge")
        return None
    return ModelJudge(name=name, model=load_model(name, endpoint=endpoint))


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

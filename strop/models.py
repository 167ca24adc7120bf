"""Models by name: loaded here, or served at an endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.models.options import AttnImplementation, Dtype, GenerationSettings, ModelOptions, Thinking

if TYPE_CHECKING:
    from harness.judge import Judge
    from harness.measure import Measured
    from harness.models.account import Price
    from harness.models.frames import Pictures
    from harness.models.vlm import Vlm
    from harness.results import TaskResult
    from harness.types import Sample, Scorer

PARALLEL = 8
"""How many questions an endpoint is asked at once, by default."""

KEPT = "judge.jsonl"
"""The file of a judge's replies, in the task's folder below the data folder."""


def load_model(
    name: str,
    *,
    adapter: str | Path | Sequence[str | Path] | None = None,
    endpoint: str | None = None,
    parallel: int = PARALLEL,
    device: str | None = None,
    dtype: Dtype = "auto",
    attn_implementation: AttnImplementation | None = None,
    pictures: Pictures | None = None,
    system: str | None = None,
    thinking: Thinking | None = None,
    generation_config: GenerationSettings = "model",
    end_bias: float = 0.0,
) -> Measured:
    """A vision-language model, loaded here or, with `endpoint`, served there under its name.

    `name` is a shipped model (pictos-seed), a local folder, or a hub id with an optional @revision; `adapter` is a LoRA
    adapter to merge in (or several, in their order), `device` cpu, cuda, cuda:1 ... (by default a GPU where there is
    one), `dtype` the precision of its weights ("auto": bfloat16 on a GPU from a gigabyte on, else float32),
    `attn_implementation` transformers' name of its attention function, `pictures` how they are shown ("pad" or
    "processor"), `system` a system turn before every question, `thinking` ("on" or "off") what a chat template with
    `enable_thinking` is given, and `generation_config` whether the model's own settings that change greedy answers are
    followed ("model" or "none"). `end_bias` is added to the logits of the tokens that end an answer, in nats: below 0
    answers get longer. `endpoint` is the base URL of an OpenAI-compatible server, which is asked `parallel`
    questions at once.

    Raises `harness.errors.ModelError` where it cannot be loaded, `UsageError` for options of the other kind of model.

    Example:
        >>> import strop
        >>> model = strop.load_model("pictos-seed", device="cpu")
        >>> model.name, len(model.digest)
        ('pictos-seed', 64)
    """
    options = ModelOptions(
        device=device, dtype=dtype, attn_implementation=attn_implementation, pictures=pictures, system=system,
        thinking=thinking, generation_config=generation_config, end_bias=end_bias,
    )  # fmt: skip
    if endpoint is not None:
        from harness.models.endpoint import Endpoint

        refuse_with_endpoint(options, adapter)
        return Endpoint(name, endpoint, parallel=parallel)
    from harness.models.load import load_vlm
    from tasks.pictos.models import shipped

    return load_vlm(name, path=shipped(name), adapter=adapter, **options.keywords)


def open_account(model: Measured, folder: Path, price: Price | None = None, budget: float | None = None) -> None:
    """Keep in a folder what the answers of a served model take, and hold a budget (`harness.models.account`); raises
    `UsageError` for prices or a budget of a model that is loaded here."""
    from harness.models.account import ACCOUNT, Account

    if getattr(model, "url", None) is not None:
        from harness.models.endpoint import Endpoint

        assert isinstance(model, Endpoint)
        model.account = Account(folder / ACCOUNT, price=price, budget=budget)
    elif price is not None or budget is not None:
        raise UsageError("--price and --budget are of a served model; leave them away, or name its --endpoint")


def load_apart(name: str, adapters: Iterable[str | Path | Sequence[str | Path]], **options: Any) -> Iterator[Vlm]:
    """A model with each adapter by itself, one after another; the base weights are read once and shared.

    A list among `adapters` is put on as a whole, in its order. `options` are those of `load_model` but for `endpoint`.

    Raises `harness.errors.ModelError` where one cannot be loaded; all folders are looked up before the first is.
    """
    from harness.models.load import load_vlms
    from tasks.pictos.models import shipped

    stacks = [[adapter] if isinstance(adapter, str | Path) else adapter for adapter in adapters]
    return load_vlms(name, stacks, path=shipped(name), options=ModelOptions(**options))


def refuse_with_endpoint(options: ModelOptions, adapter: str | Path | Sequence[str | Path] | None = None) -> None:
    """Raise `UsageError` for the first option that a served model has no use for."""
    chosen = {"adapter": adapter, "device": options.device, **options.off_default}
    for name, value in chosen.items():
        if value is not None:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is for a model that is loaded here; leave it away with an endpoint")


def open_judge(name: str | None, endpoint: str | None, options: ModelOptions = ModelOptions()) -> Judge | None:
    """The judge that `--judge` and `--judge-endpoint` name, None where there is none; `options` are of one that is
    loaded here."""
    from harness.judge import ModelJudge

    if name is None:
        if endpoint is not None:
            raise UsageError("--judge-endpoint says where a judge is served; name it by --judge")
        if options != ModelOptions():
            raise UsageError("--device, --dtype and --attn-implementation are of the judge; name it by --judge")
        return None
    return ModelJudge(name=name, model=load_model(name, endpoint=endpoint, **options.keywords))


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
    judged = with_measured(judged, data, "reading")
    return [judged] if len(marked) == 1 else [*marked, judged]


def with_measured(judged: TaskResult, data: Path, form: str) -> TaskResult:
    """A judge's result with what `strop judges` measured of it in that form, where the data folder has that: in
    `info["judge"]["measured"]`."""
    from dataclasses import replace

    from harness.examination import kept

    about = judged.info["judge"]
    measured = kept(data, about["id"], form)
    if measured is None:
        return judged
    return replace(judged, info={**judged.info, "judge": {**about, "measured": measured["shares"]}})

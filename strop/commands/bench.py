"""`strop bench`: how fast this machine answers, beside other harnesses too, trains on pairs, marks captions and draws a
bootstrap.

Each figure is the median of several runs, ratios first. The JSON is {"machine", "measured": {name: {"value" (None: not
measured), "unit", "runs", "about", "details"}}}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UsageError
from harness.models.options import ModelOptions
from harness.wording import names_in
from strop.options import AttnImplementationOption, DataOption, DeviceOption, DtypeOption, JsonOption, ModelOption
from strop.racing import Course, against_peers, growth
from strop.timings import Timing, short
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from tasks.reading.object_words import ChairTables

BATCH = 16
"""Pairs of a step of training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """On how much is measured: captions to mark, scenes to ask six times three questions about, draws, pairs to train
    on; questions and captions that other harnesses are asked for, questions that are multiplied; runs of each."""

    captions: int = 5_000
    scenes: int = 20
    draws: int = 10_000
    pairs: int = 64
    questions: int = 1_800
    descriptions: int = 200
    growing: int = 540
    runs: int = 5


FULL = Sizes()
QUICK = Sizes(captions=1_000, scenes=5, draws=1_000, pairs=32, questions=180, descriptions=20, growing=90, runs=2)


def bench(
    model: ModelOption = "pictos-seed",
    captions: Annotated[
        Path | None, typer.Option(help="JSON lines with a caption each, such as CHAIR's; default: those of Pictos.")
    ] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="Runs of which the median is taken; default: 5.")] = None,
    against: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Other harnesses to answer the same: lm-eval, lmms-eval. Each is installed in an environment of its "
            "own in the cache folder first (some GB), by pip as it is set up.",
        ),
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything, in two runs.")] = False,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Time this machine: answering (beside other harnesses too), training, marking.

    **Examples**

    strop bench --quick

    strop bench --against lm-eval,lmms-eval

    taskset -c 0 strop bench --captions greedy.jsonl --json
    """
    measured = {}
    sizes = QUICK if quick else FULL
    sizes = replace(sizes, runs=runs or sizes.runs)
    options = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    courses = [
        Course(task=task, limit=limit, model=model, options=options)
        for task, limit in {"pictos_pope": sizes.questions, "pictos_captions": sizes.descriptions}.items()
    ]
    timings = chain(
        against_peers(_peers(against), courses, sizes.runs),
        _training(model, options, sizes),
        growth(replace(courses[0], limit=sizes.growing), 1 if quick else sizes.runs),
        _questions(model, options, sizes),
        _captions(captions, sizes, data.expanduser()),
        _bootstrap(sizes),
    )
    for timing in timings:
        measured[timing.name] = {"value": timing.value, **asdict(timing)}
        if not as_json:
            typer.echo(_as_text(timing))
    machine = _machine()
    if as_json:
        typer.echo(json.dumps({"machine": machine, "measured": measured}))
    else:
        typer.echo(", ".join(f"{name} {value}" for name, value in machine.items() if isinstance(value, str | int)))


def _peers(names: str) -> list[str]:
    """The harnesses to be beside, by the names of `harness.peers.peers`; raises `UsageError` for another."""
    listed = names_in(names)
    if listed:
        from harness.peers.peers import PEERS

        for name in listed:
            if name not in PEERS:
                raise UsageError(f"--against {name}: is none of {', '.join(PEERS)}")
    return listed


def _as_text(timing: Timing) -> str:
    if not timing.runs:
        return f"{timing.name}: {timing.about}"
    spread = f"{short(min(timing.runs))} to {short(max(timing.runs))}"
    return f"{timing.name}: {short(median(timing.runs))} {timing.unit} ({spread}); {timing.about}"


def _captions(path: Path | None, sizes: Sizes, data: Path) -> Iterator[Timing]:
    """Captions marked a second under each profile of CHAIR; no run sees a caption of another, since lemmas are kept."""
    from tasks.chair.marks import NAME
    from tasks.reading import object_words, text

    captions, tables = _captions_to_mark(path, sizes.captions), _pictos_tables()
    text.look_in(*(folder / "nltk_data" for folder in (data / NAME, data)))
    for name, normaliser in object_words.PROFILES.items():
        title, unit = f"CHAIR by {normaliser.package}", "captions/s"
        if name == "official" and (missing := text.missing_data()):
            why = f"skipped: NLTK's data are missing ({', '.join(missing)}); set NLTK_DATA"
            yield Timing(name=title, unit=unit, about=why)
            continue
        normaliser.words("A man was sitting on a chair.")  # loads what it needs
        shares = [share for start in range(sizes.runs) if (share := captions[start :: sizes.runs])]
        rates = tuple(len(share) / _seconds(_mark, share, normaliser.words, tables) for share in shares)
        about = f"{len(captions)} captions of {path.name if path else 'Pictos'}, each marked once"
        yield Timing(name=title, unit=unit, about=about, runs=rates)


def _captions_to_mark(path: Path | None, count: int) -> list[str]:
    from tasks.data.rows import read_rows
    from tasks.pictos.language import caption
    from tasks.pictos.world import compose, seeds_of

    if path:
        return [row.text("caption") for row in read_rows(path)]
    return [caption(compose(seed)) for seed in seeds_of("dev", count)]


def _pictos_tables() -> ChairTables:
    from tasks.pictos.catalogue import CATEGORIES
    from tasks.reading.object_words import ChairTables

    names = [category.name for category in CATEGORIES]
    return ChairTables(
        synonyms={name: [name] for name in names}, double_words={name: name for name in names if " " in name}
    )


def _mark(captions: Sequence[str], words: Callable[[str], list[str]], tables: ChairTables) -> None:
    from tasks.chair.marks import score_caption

    for caption in captions:
        score_caption(words(caption), frozenset(), tables)


def _bootstrap(sizes: Sizes) -> Iterator[Timing]:
    """Seconds for the differences of all metrics of POPE, between right answers and such of which 15 % are drawn to be
    wrong."""
    import numpy as np

    from harness.results import mark
    from harness.stats import difference
    from tasks.registry import find_task

    task = find_task("pictos_pope")
    samples = task.samples("test")
    wrong = np.random.default_rng(0).random(len(samples)) < 0.15
    answers = [
        {"yes": "no", "no": "yes"}[sample.target] if miss else sample.target
        for sample, miss in zip(samples, wrong, strict=True)
    ]
    rows = [mark(sample, answer, task.score(sample, answer)) for sample, answer in zip(samples, answers, strict=True)]
    right = [mark(sample, sample.target, task.score(sample, sample.target)) for sample in samples]
    clusters = len({row.cluster for row in rows})
    yield Timing(
        name="bootstrap",
        unit="s",
        about=f"{sizes.draws} draws of {len(task.metrics)} metrics over {len(rows)} answers to {clusters} pictures",
        runs=tuple(_seconds(difference, right, rows, task.metrics, draws=sizes.draws) for _ in range(sizes.runs)),
    )


def _questions(model: str, options: ModelOptions, sizes: Sizes) -> Iterator[Timing]:
    """The same questions answered together, a picture's prefix shared by its questions, and one by one."""
    from harness.models.load import load_vlm
    from harness.types import Sampling
    from tasks.pictos.models import shipped
    from tasks.registry import find_task

    task = find_task("pictos_pope")
    samples = task.samples("test")[: 18 * sizes.scenes]
    vlm = load_vlm(model, path=shipped(model), **options.keywords)
    greedy = Sampling(max_tokens=task.max_tokens)
    vlm.generate(samples, greedy)  # draws the pictures, too
    shared, alone = [], []
    for _ in range(sizes.runs):
        shared.append(len(samples) / _seconds(vlm.generate, samples, greedy))
        alone.append(len(samples) / _seconds(lambda: [vlm.generate([sample], greedy) for sample in samples]))
    about = (
        f"{len(samples)} questions about {sizes.scenes} pictures by {vlm.name} on {vlm.device} in {vlm.about['dtype']}"
    )
    for name, rates in {"questions, prefix shared": shared, "questions, one by one": alone}.items():
        yield Timing(name=name, unit="questions/s", about=about, runs=tuple(rates))


def _training(model: str, options: ModelOptions, sizes: Sizes) -> Iterator[Timing]:
    """How many times as fast a step of DPO is as by stock TRL, the median of paired runs, and what share of its memory
    it takes, which is counted once. A pair is a scene's caption, and one that goes on halfway with another scene's."""
    from harness.errors import StropError
    from loops.groups import Pair
    from loops.optimise.timing import epochs
    from tasks.pictos.benchmarks import caption_samples
    from tasks.pictos.language import claims
    from tasks.pictos.models import shipped
    from tasks.pictos.world import compose, seeds_of

    speed, memory = "vision DPO step against stock TRL", "vision DPO, peak memory against stock TRL"
    folder = shipped(model) or Path(model)
    sentences = [[claim.sentence() for claim in claims(compose(seed))] for seed in seeds_of("pool", sizes.pairs + 1)]
    pairs = [
        Pair(
            sample=sample,
            chosen=" ".join(own),
            rejected=" ".join([*own[: len(own) // 2], *other[len(own) // 2 :]]),
            reversed=False,
        )
        for sample, own, other in zip(caption_samples("pool", sizes.pairs), sentences, sentences[1:], strict=False)
    ]
    try:
        timed = [epochs(folder, pairs, BATCH, options) for _ in range(sizes.runs)]
        ours, stock = epochs(folder, pairs[: 2 * BATCH], BATCH, options, count=True)
    except StropError as error:
        for name in (speed, memory):
            yield Timing(name=name, unit="x", about=f"skipped: {error}")
        return
    about = f"{len(pairs)} pairs in batches of {BATCH}, one epoch"
    rates = [1 / median(taken.seconds for taken in way) for way in zip(*timed, strict=True)]
    yield Timing(
        name=speed, unit="x", about=f"{short(rates[0])} steps/s, {short(rates[1])} by stock TRL; {about}",
        runs=tuple(other.seconds / own.seconds for own, other in timed),
    )  # fmt: skip
    yield Timing(
        name=memory, unit="x", about=f"bytes of tensors at once: {ours.bytes:,}, {stock.bytes:,} by stock TRL",
        runs=(ours.bytes / stock.bytes,),
    )  # fmt: skip


def _seconds(work: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    begun = perf_counter()
    work(*arguments, **options)
    return perf_counter() - begun


def _machine() -> dict[str, Any]:
    """What the figures hold for: machine, threads, peak memory of this process, code and versions."""
    import resource

    from harness.provenance import provenance

    origin = provenance()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    rest = {name: value for name, value in origin.items() if name not in ("hardware", "versions")}
    return {**origin["hardware"], "peak_memory_mb": round(peak / 1e6), **rest, **origin["versions"]}

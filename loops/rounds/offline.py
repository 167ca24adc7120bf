"""The offline round: candidates are collected and judged, pairs selected, and the next checkpoint trained on them."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from harness.errors import RunError
from harness.runs.names import CHECKPOINT, COLLECT, GROUPS, OPTIMISE, PAIRS, SELECT, VERIFY
from harness.types import Advance, Checkpoint, Sample
from loops.groups import (
    Example,
    Pair,
    Row,
    examples_of,
    keep_pictures,
    read_groups,
    read_rows,
    texts_of,
    write_groups,
    write_rows,
)
from loops.judging import judge_groups
from loops.kinds import Optimiser, Round, Selector, Study, Trained, computed_by
from loops.ledger import Outcome
from loops.model_cards import write_model_cards
from loops.stages import Stages

VERSION = 1
"""Raised when a stage's code, and not its kind's, would give another result from the same inputs."""

Pool = Callable[[], Sequence[Sample]]
"""The round's samples, composed when a stage first needs them: scenes take seconds, and a finished round needs none."""

Train = Callable[[Sequence[Any], Path, Advance], Trained]
"""An optimiser at work: trains on rows and saves the next checkpoint, whole, into the folder. Told how many rows were
seen."""


class RowOptimiser(Optimiser):
    """An optimiser that learns from rows that were selected before it starts."""

    def inputs(self, context: Round) -> dict[str, Any]:
        """What training depends on, beside the rows, the checkpoint that it starts from and the round's draw."""
        return self.as_input()

    def round(self, context: Round) -> Stages[Checkpoint]:
        return offline(context, self)

    @abstractmethod
    def rows(self, selected: Sequence[Row]) -> Sequence[Pair] | Sequence[Example]:
        """What it learns from, of what was selected."""

    @abstractmethod
    def open(self, context: Round) -> Train:
        """The optimiser at work."""


class PairOptimiser(RowOptimiser):
    """An optimiser that learns from pairs."""

    def refuse_selector(self, selector: Selector) -> None:
        if not selector.paired:
            raise ValueError(
                f"optimise.kind {self.kind} learns from pairs, and select.kind {selector.kind} gives single answers; "
                "take select.kind pairs, or optimise.kind sft or kto"
            )

    def rows(self, selected: Sequence[Row]) -> Sequence[Pair]:
        return [row for row in selected if isinstance(row, Pair)]


class ExampleOptimiser(RowOptimiser):
    """An optimiser that learns from single answers, those of pairs among them."""

    def rows(self, selected: Sequence[Row]) -> Sequence[Example]:
        return examples_of(selected)


def offline(context: Round, optimiser: RowOptimiser) -> Stages[Checkpoint]:
    """Collect, verify, select, optimise."""
    study, draw = context.judged, context.draw
    pool = cache(lambda: study.samples(context.number))
    source = study.pool.identity
    collected = yield context.stage(
        COLLECT,
        {"version": VERSION, "source": source, "seed": study.seed, "round": context.number,
         **study.collect.inputs(context)},
        lambda folder: _collect(context, folder, pool),
    )  # fmt: skip
    verified = yield context.stage(
        VERIFY,
        {
            "version": VERSION,
            "source": source,
            "collected": collected.digest,
            "verify": study.verify.inputs(study, draw),
        },
        lambda folder: _verify(study, context, folder, collected.folder, pool),
    )
    selected = yield context.stage(
        SELECT,
        {"version": VERSION, "verified": verified.digest, "select": study.select.inputs(draw)},
        lambda folder: _select(context, folder, verified.folder, pool),
    )
    trained = yield context.stage(
        OPTIMISE,
        {
            "version": VERSION,
            "source": source,
            "pairs": selected.digest,
            "start": context.start.digest,
            **study.asking,
            "optimise": optimiser.inputs(context),
            "seed": draw,
        },
        lambda folder: _optimise(context, optimiser, folder, selected.folder, pool),
    )
    return trained.checkpoint(context.start.digest)


def _collect(context: Round, folder: Path, pool: Pool) -> Outcome:
    collecting, samples = context.study.collect.open(context), [sample.blind() for sample in pool()]
    with context.study.setting.bars() as bars:
        advance = bars(f"round {context.number} collect", collecting.passes * len(samples))
        groups = collecting.collect(samples, advance)
    if context.study.collect.own_pictures:
        groups = keep_pictures(groups, folder)
    write_groups(folder / GROUPS, groups)
    differing = sum(len(set(group.answers)) > 1 for group in groups)
    return Outcome(
        facts={"groups": len(groups), "differing": differing, **collecting.facts(groups)},
        cost=collecting.costs(),
        computed=collecting.computed,
    )


def _verify(study: Study, context: Round, folder: Path, collected: Path, pool: Pool) -> Outcome:
    kind, groups = study.verify, read_groups(collected / GROUPS, pool())
    with study.setting.bars() as bars:
        judged, verifier = judge_groups(study, groups, context.draw, partial(bars, f"round {context.number} verify"))
    write_groups(folder / GROUPS, judged)
    return Outcome(
        facts={"verifier": kind.kind, "sees_gold": kind.is_shown_gold, **verifier.facts},
        cost=dict(verifier.costs),
        computed=computed_by(verifier),
    )


def _select(context: Round, folder: Path, verified: Path, pool: Pool) -> Outcome:
    selection = context.study.select.select(read_groups(verified / GROUPS, pool()), context.draw)
    write_rows(folder / PAIRS, selection.rows)
    return Outcome(facts={**selection.counts, **mean_words(selection.rows), **likeness(selection.rows)}, cost={})


def mean_words(rows: Sequence[Row]) -> dict[str, float]:
    """Words a row of the answers to prefer and of those to avoid: a difference is a preference for length."""
    examples = examples_of(rows)
    sides = {"chosen_words": True, "rejected_words": False}
    lengths = {
        side: [len(row.answer.split()) for row in examples if row.desirable == wanted] for side, wanted in sides.items()
    }
    return {side: round(sum(words) / len(words), 2) for side, words in lengths.items() if words}


def likeness(rows: Sequence[Row]) -> dict[str, int]:
    """How many different texts the rows are (a pair's two are one), how many rows the commonest is, and how many are
    about one picture, whichever has most."""
    texts = Counter(map(texts_of, rows))
    pictures = Counter(row.sample.cluster for row in rows)
    return {
        "different_texts": len(texts),
        "commonest_text": max(texts.values(), default=0),
        "most_of_a_picture": max(pictures.values(), default=0),
    }


def _optimise(context: Round, optimiser: RowOptimiser, folder: Path, selected: Path, pool: Pool) -> Outcome:
    rows = optimiser.rows(read_rows(selected / PAIRS, pool()))
    if not rows:
        raise RunError(
            "select left nothing to train on; lower select.margin, raise collect.samples or collect.h_ratio.mean"
        )
    train = optimiser.open(context)
    with context.study.setting.bars() as bars:
        trained = train(rows, folder / CHECKPOINT, bars(f"round {context.number} optimise", len(rows)))
    learnt = {"pairs": f"{len(rows)}, selected by {context.study.select.kind}"}
    write_model_cards(context, optimiser, folder, trained, learnt)
    changed = {} if trained.changed is None else {"changed": trained.changed}
    return Outcome(
        facts={"steps": trained.steps, **changed, **trained.figures}, cost=trained.costs, computed=trained.computed
    )

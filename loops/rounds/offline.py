"""The offline round: candidates are collected and judged, pairs selected, and the next checkpoint trained on them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from harness.errors import RunError
from harness.runs.names import CHECKPOINT, COLLECT, GROUPS, OPTIMISE, PAIRS, SELECT, VERIFY
from harness.types import Advance, Checkpoint, Sample
from loops.groups import Pair, read_groups, read_pairs, write_groups, write_pairs
from loops.judging import judge_groups
from loops.kinds import Optimiser, Round, Study, Trained, computed_by
from loops.ledger import Outcome
from loops.model_cards import write_model_cards
from loops.stages import Stages

VERSION = 1
"""Raised when a stage's code, and not its kind's, would give another result from the same inputs."""

Pool = Callable[[], Sequence[Sample]]
"""The round's samples, composed when a stage first needs them: scenes take seconds, and a finished round needs none."""

Train = Callable[[Sequence[Pair], Path, Advance], Trained]
"""An optimiser at work: trains on pairs and saves the next checkpoint, whole, into the folder. Told how many pairs were
seen."""


class PairOptimiser(Optimiser):
    """An optimiser that learns from pairs."""

    def inputs(self, context: Round) -> dict[str, Any]:
        """What training depends on, beside the pairs, the checkpoint that it starts from and the round's draw."""
        return self.as_input()

    def round(self, context: Round) -> Stages[Checkpoint]:
        return offline(context, self)

    @abstractmethod
    def open(self, context: Round) -> Train:
        """The optimiser at work."""


def offline(context: Round, optimiser: PairOptimiser) -> Stages[Checkpoint]:
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
    write_pairs(folder / PAIRS, selection.pairs)
    return Outcome(facts=selection.counts, cost={})


def _optimise(context: Round, optimiser: PairOptimiser, folder: Path, selected: Path, pool: Pool) -> Outcome:
    pairs = read_pairs(selected / PAIRS, pool())
    if not pairs:
        raise RunError(
            "select left no pairs to train on; lower select.margin, raise collect.samples or collect.h_ratio.mean"
        )
    train = optimiser.open(context)
    with context.study.setting.bars() as bars:
        trained = train(pairs, folder / CHECKPOINT, bars(f"round {context.number} optimise", len(pairs)))
    write_model_cards(context, optimiser, folder, trained, len(pairs))
    changed = {} if trained.changed is None else {"changed": trained.changed}
    return Outcome(
        facts={"steps": trained.steps, **changed, **trained.figures}, cost=trained.costs, computed=trained.computed
    )

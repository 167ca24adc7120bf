"""The online round: answers are drawn and judged while the model trains on them, in one stage, up to its checkpoint."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, Protocol

from harness.runs.names import CHECKPOINT, GROUPS, OPTIMISE
from harness.types import Advance, Answer, Checkpoint, Group, Sample, Verdict
from loops.collect.asking import MARK, AskingCollector, count_unfinished, group_of, refuse_unfinished, settle
from loops.groups import write_groups
from loops.judging import judged_by, open_verifier
from loops.kinds import Optimiser, Round, Study, Trained, Verifying, computed_by
from loops.ledger import Outcome, added
from loops.model_cards import write_model_cards
from loops.stages import Stages

VERSION = 1
"""Raised when this stage's code, and not its kinds', would give another result from the same inputs."""

FEW = 100
"""The share of cut answers is looked at from so many answers on."""

Pool = Callable[[], Sequence[Sample]]
"""The round's samples, composed when the stage needs them."""


class Judge(Protocol):
    """What rewards answers as they are drawn; samples come without gold."""

    def begin(self, samples: Sequence[Sample], answers: Sequence[Answer]) -> None:
        """Told, before anything is trained, an answer to each of some samples, to calibrate on."""

    def __call__(
        self, samples: Sequence[Sample], answers: Sequence[Sequence[Answer]]
    ) -> Sequence[Sequence[float | None]]:
        """The reward of each sample's answers, in order; None is no opinion."""


Learn = Callable[[Sequence[Sample], Judge, Path, Advance], Trained]
"""An optimiser at work: draws answers to the samples, which come without gold, has them judged, and saves the next
checkpoint, whole, into the folder. Told how many samples are through."""


class OnlineOptimiser(Optimiser):
    """An optimiser that learns from answers that the model in training gives."""

    def inputs(self, context: Round) -> dict[str, Any]:
        """What training depends on, beside pool, collector, verifier, start and draw."""
        return self.as_input()

    def round(self, context: Round) -> Stages[Checkpoint]:
        return online(context, self)

    @abstractmethod
    def drawing(self, study: Study) -> AskingCollector:
        """The collector that says how answers are drawn; raises `RecipeError` where the study's does not."""

    @abstractmethod
    def open(self, context: Round) -> Learn:
        """The optimiser at work."""


def online(context: Round, optimiser: OnlineOptimiser) -> Stages[Checkpoint]:
    """Optimise, with all that the other stages of a round would do within."""
    study = context.judged
    trained = yield context.stage(
        OPTIMISE,
        {
            "version": VERSION,
            "source": study.pool.identity,
            "round": context.number,
            **study.collect.inputs(context),
            "verify": study.verify.inputs(study, context.draw),
            "start": context.start.digest,
            "optimise": optimiser.inputs(context),
            "seed": context.draw,
        },
        lambda folder: _optimise(context, optimiser, folder, cache(lambda: study.samples(context.number))),
    )
    return trained.checkpoint(context.start.digest)


def _optimise(context: Round, optimiser: OnlineOptimiser, folder: Path, pool: Pool) -> Outcome:
    study, samples = context.judged, pool()
    judge = VerifierAtWork(study, optimiser.drawing(study), samples, context.draw)
    learn = optimiser.open(context)
    with study.setting.bars() as bars:
        advance = bars(f"round {context.number} optimise", len(samples))
        trained = learn([sample.blind() for sample in samples], judge, folder / CHECKPOINT, advance)
    write_groups(folder / GROUPS, judge.groups)
    answers = sum(len(group.answers) for group in judge.groups)
    write_model_cards(
        context, optimiser, folder, trained, {"learnt from": f"{answers} answers, each rewarded as drawn"}
    )
    changed = {} if trained.changed is None else {"changed": trained.changed}
    return Outcome(
        facts={
            "verifier": study.verify.kind, "sees_gold": study.verify.is_shown_gold, **judge.verifying.facts,
            "steps": trained.steps, **changed, **trained.figures, **rewards_of(judge.groups),
            **count_unfinished(judge.groups),
        },
        cost=added(trained.costs, judge.verifying.costs),
        computed={**trained.computed, **computed_by(judge.verifying)},
    )  # fmt: skip


class VerifierAtWork:
    """A round's verifier as what rewards answers: `groups` are all that it judged, in order. It is shown gold only
    where it may see it. An answer that was cut, and of which `collect.unfinished` leaves nothing, has no verdict."""

    verifying: Verifying

    def __init__(self, study: Study, collect: AskingCollector, samples: Sequence[Sample], draw: int) -> None:
        self.study, self.collect, self.draw = study, collect, draw
        self.groups: list[Group] = []
        self._samples = {sample.id: sample for sample in samples}
        self._answers: list[Answer] = []

    def begin(self, samples: Sequence[Sample], answers: Sequence[Answer]) -> None:
        groups = self._groups(samples, [[answer] for answer in answers])
        self.verifying = open_verifier(self.study, groups, self.draw)

    def __call__(self, samples: Sequence[Sample], answers: Sequence[Sequence[Answer]]) -> list[list[float | None]]:
        self._answers += chain.from_iterable(answers)
        if len(self._answers) >= FEW:
            refuse_unfinished(self._answers, self.collect)
        judged = [_settled(group) for group in judged_by(self.verifying, self.study, self._groups(samples, answers))]
        self.groups += judged
        return [[verdict.reward for verdict in group.verdicts] for group in judged]

    def _groups(self, samples: Sequence[Sample], answers: Sequence[Sequence[Answer]]) -> list[Group]:
        return [
            group_of(self._samples[sample.id], [settle(answer, self.collect) for answer in row])
            for sample, row in zip(samples, answers, strict=True)
        ]


def _settled(group: Group) -> Group:
    """The group, without verdicts on answers of which nothing was kept."""
    verdicts = [
        Verdict(reward=None, why="cut") if MARK in note and not answer else verdict
        for answer, note, verdict in zip(group.answers, group.notes, group.verdicts, strict=True)
    ]
    return dataclasses.replace(group, verdicts=tuple(verdicts))


def rewards_of(groups: Sequence[Group]) -> Mapping[str, float]:
    """Facts of rewards over a training: mean and standard deviation over all answers, means of the first tenth and of
    the last tenth of the groups, and the share of answers without an opinion."""
    rewards = [[verdict.reward for verdict in group.verdicts] for group in groups]
    tenth = max(1, len(rewards) // 10)
    spans = {"": rewards, "_first_tenth": rewards[:tenth], "_last_tenth": rewards[-tenth:]}
    values = {name: [reward for row in rows for reward in row if reward is not None] for name, rows in spans.items()}
    count = sum(map(len, rewards))
    return {
        "answers": count,
        **{f"reward{name}": round(fmean(span), 4) for name, span in values.items() if span},
        **({"reward_std": round(pstdev(values[""]), 4)} if values[""] else {}),
        **({"without_opinion": round(1 - len(values[""]) / count, 4)} if count else {}),
    }

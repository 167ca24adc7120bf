"""Collect episodes in a world that answers back: from each start several, and what each made of where they part ways.

Trained is one answer to one picture, so that a group is a state of the world and not a start: a state to which several
episodes from one start came, and in which they answered otherwise. Of each answer the note keeps, under `ENDS`, how
every episode that gave it there ended. Only an episode's first visit to a state counts (first-visit Monte Carlo: Sutton
& Barto, 2nd edition, section 5.1); later ones follow from the first.

ETO (arXiv 2403.02502) sets a whole failed episode against a successful one from the same start, answers that were right
in the failed one among the rest; Step-DPO (arXiv 2406.18629) sets the first wrong step of a chain against a right one
after the same beginning, and has somebody name it. Here the state is the same as there and the world's ends are as in
ETO: where more of the episodes through one answer succeeded, it is the better one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from harness.episodes import After, Episode, play
from harness.errors import RecipeError, RunError
from harness.types import Advance, Answer, Group, Happened, Sample
from loops.collect.asking import MARK, AskingCollector, refuse_unfinished, settle
from loops.groups import ENDS
from loops.kinds import Collecting, Round, Study
from loops.verify.task import Reader, normalised, reader_of, world_of

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


def _nowhere(start: Sample, answers: Sequence[str]) -> Happened:
    raise RunError(f"sample {start.id}: no world answers back")


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Where episodes take place: what happens in it, and what of an answer it heeds."""

    after: After = _nowhere
    read: Reader = normalised


NOWHERE = World()


class Episodes(AskingCollector):
    """Several episodes from each start."""

    kind: Literal["episodes"] = "episodes"
    version: ClassVar[int] = 1
    own_pictures: ClassVar[bool] = True

    temperature: float = Field(default=1.0, gt=0, description="of all answers")
    max_tokens: int = Field(default=16, ge=1, description="of an answer")
    episodes: int = Field(default=8, ge=2, description="from each start")

    def refuse(self, study: Study) -> None:
        world_of(study, f"collect.kind {self.kind}")
        if study.verify.is_shown_gold:
            raise RecipeError(
                f"verify.kind {study.verify.kind}: the states of an episode have no right answers to judge by; take "
                "environment"
            )

    def open(self, context: Round) -> Collecting:
        study, model = context.study, context.load_model()
        after = world_of(study, f"collect.kind {self.kind}")
        world = World(after=after, read=reader_of(study) or normalised)
        facts: dict[str, float] = {}

        def collect(samples: Sequence[Sample], advance: Advance) -> list[Group]:
            return self.ask(model, samples, seed=context.draw, advance=advance, world=world, facts=facts)

        collecting = self.collecting(model, context)
        return replace(collecting, collect=collect, passes=self.episodes, facts=lambda groups: facts)

    def ask(
        self,
        model: Vlm,
        samples: Sequence[Sample],
        *,
        seed: int,
        advance: Advance | None = None,
        world: World = NOWHERE,
        facts: dict[str, float] | None = None,
    ) -> list[Group]:
        """A group for each state in which episodes from one start part ways, start by start; the first texts of
        different answers, in the order they were given. `facts` is told how many episodes there were, and how many of
        them succeeded. Raises `RunError` where no two part."""
        drawn: list[Answer] = []

        def reply(questions: Sequence[Sample]) -> list[str]:
            new = [answer for (answer,) in model.answers(questions, self.sampling(seed=seed))]
            drawn.extend(new)
            refuse_unfinished(drawn, self)
            return [settle(answer, self)[0] for answer in new]

        # an id of its own, and so random numbers of its own, for each episode and each of its questions
        starts = [replace(sample, id=f"{sample.id}#{number}") for sample in samples for number in range(self.episodes)]
        played = play(world.after, starts, reply, advance)
        groups = [
            group
            for number, sample in enumerate(samples)
            for group in _parted(sample, played[number * self.episodes : (number + 1) * self.episodes], world.read)
        ]
        if facts is not None:
            facts["episodes"] = len(played)
            facts["succeeded"] = sum(episode.succeeded for episode in played)
            facts[MARK] = sum(not answer.finished for answer in drawn)
        if samples and not groups:
            raise RunError(
                f"collect.kind {self.kind}: no two episodes from one start part ways; raise collect.temperature or "
                "collect.episodes"
            )
        return groups


@dataclass(kw_only=True, slots=True)
class _State:
    """A state, and by what was read in them the answers that were given there: (the first one's text, its ends)."""

    question: Sample
    answers: dict[Any, tuple[str, list[int | None]]] = field(default_factory=dict)


def _parted(sample: Sample, episodes: Sequence[Episode], read: Reader) -> list[Group]:
    """A group for each state in which these episodes from one start answered otherwise."""
    states: dict[Any, _State] = {}
    for episode in episodes:
        visited = set()
        for number, (question, answer) in enumerate(zip(episode.questions, episode.answers, strict=True)):
            key = question.prompt, question.images
            if key in visited:
                continue
            visited.add(key)
            state = states.setdefault(key, _State(question=question))
            _, ends = state.answers.setdefault(read(question, answer), (answer, []))
            ends.append(len(episode.answers) - number if episode.succeeded else None)
    parted = [state for state in states.values() if len(state.answers) > 1]
    return [_group(replace(state.question, id=f"{sample.id}/parted-{n}"), state) for n, state in enumerate(parted)]


def _group(sample: Sample, state: _State) -> Group:
    texts, ends = zip(*state.answers.values(), strict=True)
    notes: tuple[Mapping[str, Any], ...] = tuple({ENDS: list(its)} for its in ends)
    return Group(sample=sample, answers=texts, notes=notes)

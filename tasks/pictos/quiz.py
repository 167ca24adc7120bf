"""Pictos asked in the forms of ScienceQA, MathVista and grounding, and marked by these benchmarks' own code.

Prompts are the ones that the shipped seed was taught (`tasks.pictos.language`, `tasks.pictos.charts`), with these
exceptions: no comparison was ever put to it, which is further left only in MathVista's form and for a name, which bar
is the highest only in ScienceQA's. Right answers are balanced, so that what is earned without looking is known: the
first paragraph of each task says how much. The kinds are spread evenly: the first N questions are a fair part of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from harness.types import Metric, Sample, Score
from tasks.data.annotations import Box
from tasks.data.pools import ComposedSamples
from tasks.grounding.marks import GROUNDING_METRICS, score_grounding
from tasks.grounding.marks import HEADLINE as GROUNDING_HEADLINE
from tasks.grounding.readers import box_text, read_box
from tasks.mathvista.marks import mathvista_metrics, score_mathvista
from tasks.mathvista.readers import Question, Reply
from tasks.pictos.benchmarks import ChartPicture, ScenePicture
from tasks.pictos.charts import HIGHEST_BAR, TALLEST, compose_chart, height_of
from tasks.pictos.language import (
    WHICH_IS_THERE,
    box_question,
    further_left,
    hinted,
    how_many,
    more_of,
    options_there,
    things_alone,
)
from tasks.pictos.world import SPLITS, VERSION, compose, seeds_of
from tasks.reading.readers import LETTERS
from tasks.scienceqa.marks import Problem, scienceqa_metrics, score_scienceqa
from tasks.scienceqa.questions import read_letter, scienceqa_prompt

QUESTIONS = 1_000
"""Questions of each task."""

BLOCK = 100
"""Pictures of the training pool among which one is looked for that suits a question; each kind suits one in ten."""

APART = 4
"""Pixels between the centres of two things of which one is called further left: less is a matter of taste."""

COUNTS = (1, 2, 1, 2, 3)
"""How many are there to be counted, in turn; 3 stands for three or more. Left to chance, seven in eight would be 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictosScienceQA:
    """ScienceQA's form on Pictos: which of four is in the image, which of two is further left, which bar is highest.
    The same letter each time is right for present 25 %, position 50 %, highest 29.3 %, all 33.8 %.

    400, 300 and 300 questions. The right option takes each place in turn; half of the charts have three bars.
    Whoever knows the world and not the picture does better at present: the option that is met most often together with
    the other three is right for 34 %, since false options are drawn to tempt.
    """

    name: str = "pictos_scienceqa"
    version: int = VERSION
    metrics: tuple[Metric, ...] = scienceqa_metrics(("present", "position", "highest"))
    headline: str = "accuracy"
    max_tokens: int = 16

    def samples(self, split: str) -> Sequence[Sample]:
        return _scienceqa(split)

    def score(self, sample: Sample, answer: str) -> Score:
        return score_scienceqa(sample.target, answer)

    def read(self, sample: Sample, answer: str) -> str | None:
        return read_letter(sample.prompt, answer, "strict")

    def gold(self, sample: Sample) -> str:
        return str(sample.target.gold)

    def pool(self) -> Sequence[Sample]:
        return _pool(_SCIENCEQA_KINDS, _scienceqa_sample)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictosMathVista:
    """MathVista's form on Pictos: how many are there, are there more of these than those, which of two is further
    left, how high is a bar, which is highest. The same answer to all of a kind is right for count 40 %, comparison
    50 %, position 50 %, height 11.5 %, highest 29.5 %, all 36.2 %.

    200 questions each. Counts and heights are integers (`COUNTS`; the heights 1 to 9 in turn), the others have options.
    A comparison is of two that are there, in unequal numbers; Yes is right in every other one.
    """

    name: str = "pictos_mathvista"
    version: int = VERSION
    metrics: tuple[Metric, ...] = mathvista_metrics(("count", "comparison", "position", "height", "highest"))
    headline: str = "accuracy"
    max_tokens: int = 16

    def samples(self, split: str) -> Sequence[Sample]:
        return _mathvista(split)

    def score(self, sample: Sample, answer: str) -> Score:
        return score_mathvista(sample.target, Reply(response=answer))

    def gold(self, sample: Sample) -> str:
        question: Question = sample.target
        return LETTERS[question.options.index(question.answer)] if question.options else question.answer

    def pool(self) -> Sequence[Sample]:
        return _pool(_MATHVISTA_KINDS, _mathvista_sample)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictosGrounding:
    """Grounding on Pictos: the box of a thing that is there once, as text. The same box each time has a mean IoU of
    10 % at most, and an IoU of 0.5 (right) for 4 % at most.

    One question a scene. The seed was taught to write 63 for an edge at 64: its best has a mean IoU of 99.4 %.
    """

    name: str = "pictos_grounding"
    version: int = VERSION
    metrics: tuple[Metric, ...] = GROUNDING_METRICS
    headline: str = GROUNDING_HEADLINE
    max_tokens: int = 32

    def samples(self, split: str) -> Sequence[Sample]:
        return _grounding(split)

    def score(self, sample: Sample, answer: str) -> Score:
        return score_grounding(sample.target, answer)

    def read(self, sample: Sample, answer: str) -> Box | None:
        return read_box(answer)

    def gold(self, sample: Sample) -> str:
        return box_text(sample.target)

    def pool(self) -> Sequence[Sample]:
        return _composed(lambda index, seeds: next(filter(None, map(_box, seeds))))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """A question in no form yet. `right` is one of the options, or without any an integer."""

    text: str
    right: str
    options: tuple[str, ...] = ()


Ask = Callable[[int, int, np.random.Generator], _Asked | None]
"""(seed, number, generator) -> the question with that number, from 0, if the seed's scene or chart suits it.

Whatever is balanced goes by the number.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """A kind of question: its name, whether it is of a scene or of a chart, and what asks it."""

    name: str
    picture: type[ScenePicture] | type[ChartPicture]
    ask: Ask

    def posed(self, seeds: Iterable[int], number: int) -> Iterator[_Posed]:
        """The question with that number about each seed that suits."""
        for seed in seeds:
            if question := self.ask(seed, number, _generator(seed)):
                yield _Posed(kind=self.name, picture=self.picture(seed), question=question)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Posed:
    """A question of some kind about some picture."""

    kind: str
    picture: ScenePicture | ChartPicture
    question: _Asked

    def sample(self, prompt: str, target: Problem | Question) -> Sample:
        return Sample(
            id=f"{self.picture.id}/{self.kind}",
            prompt=prompt,
            images=(self.picture,),
            target=target,
            cluster=self.picture.id,
        )


def _scienceqa_sample(posed: _Posed) -> Sample:
    unformed = posed.question
    gold = LETTERS[unformed.options.index(unformed.right)]
    return posed.sample(
        scienceqa_prompt(unformed.text, unformed.options),
        Problem(options=unformed.options, gold=gold, cells=(posed.kind,)),
    )


def _mathvista_sample(posed: _Posed) -> Sample:
    unformed = posed.question
    question = Question(
        question_type="multi_choice" if unformed.options else "free_form",
        answer_type="text" if unformed.options else "integer",
        answer=unformed.right,
        options=unformed.options,
        cells=(posed.kind,),
    )
    return posed.sample(hinted(unformed.text, unformed.options), question)


@lru_cache(maxsize=4)
def _scienceqa(split: str) -> list[Sample]:
    kinds = [_posed(split, kind, count) for kind, count in zip(_SCIENCEQA_KINDS, (400, 300, 300), strict=True)]
    return [_scienceqa_sample(posed) for posed in _mixed(kinds)]


@lru_cache(maxsize=4)
def _mathvista(split: str) -> list[Sample]:
    return [_mathvista_sample(posed) for posed in _mixed([_posed(split, kind, 200) for kind in _MATHVISTA_KINDS])]


@lru_cache(maxsize=4)
def _grounding(split: str) -> list[Sample]:
    return list(itertools.islice(filter(None, map(_box, seeds_of(split))), QUESTIONS))


def _box(seed: int) -> Sample | None:
    """The question for the box of a thing that is alone of its kind, where the seed's scene has one."""
    scene = compose(seed)
    alone = things_alone(scene)
    if not alone:
        return None
    thing = alone[_generator(seed).integers(len(alone))]
    return Sample(
        id=f"{scene.id}/box",
        prompt=box_question(thing).prompt,
        images=(ScenePicture(seed),),
        target=tuple(float(value) for value in thing.box),
        cluster=scene.id,
        meta={"object": thing.category.name},
    )


def _composed(question: Callable[[int, Sequence[int]], Sample]) -> ComposedSamples:
    """A training pool: `question` gives the one with that number, about the first picture of its block that suits."""
    seeds = SPLITS["pool"]

    def compose_some(start: int, count: int) -> list[Sample]:
        return [question(index, seeds[index * BLOCK : (index + 1) * BLOCK]) for index in range(start, start + count)]

    return ComposedSamples(size=len(seeds) // BLOCK, compose=compose_some)


def _pool(kinds: Sequence[_Kind], form: Callable[[_Posed], Sample]) -> ComposedSamples:
    """A training pool in which the kinds take turns, balanced as the questions that are measured."""

    def question(index: int, seeds: Sequence[int]) -> Sample:
        kind = kinds[index % len(kinds)]
        return form(next(kind.posed(seeds, index // len(kinds))))

    return _composed(question)


def _posed(split: str, kind: _Kind, count: int) -> list[_Posed]:
    """The first `count` questions of a kind, one for each seed that suits."""
    posed: list[_Posed] = []
    for seed in seeds_of(split):
        if len(posed) == count:
            break
        posed += itertools.islice(kind.posed([seed], len(posed)), 1)
    return posed


def _mixed(kinds: Sequence[Sequence[_Posed]]) -> list[_Posed]:
    """All questions, each kind spread evenly over the whole."""
    spread = [((index + 0.5) / len(kind), posed) for kind in kinds for index, posed in enumerate(kind)]
    return [posed for _, posed in sorted(spread, key=lambda placed: placed[0])]


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, 10))


# Kinds. Position and highest ask the same in both tasks, so that a form can be told from a skill. ---------------------


def _present(seed: int, number: int, rng: np.random.Generator) -> _Asked | None:
    scene = compose(seed)
    present = sorted(scene.counts())
    right = present[rng.integers(len(present))]
    return _Asked(text=WHICH_IS_THERE, right=right, options=_placed(right, options_there(scene, right, rng), number))


def _position(seed: int, number: int, rng: np.random.Generator) -> _Asked | None:
    pairs = [
        (thing.category.name, other.category.name)
        for thing, other in itertools.permutations(things_alone(compose(seed)), 2)
        if other.centre - thing.centre >= APART
    ]
    if not pairs:
        return None
    left, right = pairs[rng.integers(len(pairs))]
    options = _placed(left, (left, right), number)
    return _Asked(text=further_left(*options), right=left, options=options)


def _count(seed: int, number: int, rng: np.random.Generator) -> _Asked | None:
    target = COUNTS[number % len(COUNTS)]
    counts = compose(seed).counts()
    names = sorted(name for name, count in counts.items() if min(count, max(COUNTS)) == target)
    if not names:
        return None
    name = names[rng.integers(len(names))]
    return _Asked(text=how_many(name), right=str(counts[name]))


def _comparison(seed: int, number: int, rng: np.random.Generator) -> _Asked | None:
    counts = compose(seed).counts()
    pairs = [(name, other) for name, other in itertools.permutations(sorted(counts), 2) if counts[name] > counts[other]]
    if not pairs:
        return None
    more, fewer = pairs[rng.integers(len(pairs))]
    text, right = (more_of(more, fewer), "Yes") if number % 2 == 0 else (more_of(fewer, more), "No")
    return _Asked(text=text, right=right, options=("Yes", "No"))


def _height(seed: int, number: int, rng: np.random.Generator) -> _Asked | None:
    target = 1 + number % TALLEST
    names = [name for name, height in compose_chart(seed).bars if height == target]
    if not names:
        return None
    return _Asked(text=height_of(names[rng.integers(len(names))]), right=str(target))


def _highest(seed: int, number: int, rng: np.random.Generator) -> _Asked | None:
    chart = compose_chart(seed)
    names = [name for name, _ in chart.bars]
    if len(names) != 3 + number % 2:
        return None
    rng.shuffle(names)
    return _Asked(text=HIGHEST_BAR, right=chart.highest, options=_placed(chart.highest, names, number // 2))


def _placed(right: str, options: Sequence[str], number: int) -> tuple[str, ...]:
    """The options with the right one at the place that is its turn."""
    others = [option for option in options if option != right]
    index = number % len(options)
    return (*others[:index], right, *others[index:])


_SCIENCEQA_KINDS = (
    _Kind(name="present", picture=ScenePicture, ask=_present),
    _Kind(name="position", picture=ScenePicture, ask=_position),
    _Kind(name="highest", picture=ChartPicture, ask=_highest),
)
_MATHVISTA_KINDS = (
    _Kind(name="count", picture=ScenePicture, ask=_count),
    _Kind(name="comparison", picture=ScenePicture, ask=_comparison),
    _Kind(name="position", picture=ScenePicture, ask=_position),
    _Kind(name="height", picture=ChartPicture, ask=_height),
    _Kind(name="highest", picture=ChartPicture, ask=_highest),
)

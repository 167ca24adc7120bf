"""Answers in words of which it is known what they settle on: what a judge is measured on that reads short answers.

Half of them settle on one option, in words that no rule reads. The others are near misses: they hesitate between two,
refuse, or take back what they said; a judge that reads an option there solves the question itself, or guesses.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.judge import Judge, ask_judge
from harness.store import Store
from harness.types import Advance, Sample
from tasks.reading.answer_judge import question_of, settles
from tasks.reading.readers import LETTERS
from tasks.scienceqa.marks import Problem, score_scienceqa

_QUESTIONS = (
    ("Which of these conducts electricity best?", ("glass", "copper", "rubber", "wood")),
    ("Which of these is a mammal?", ("trout", "frog", "whale", "sparrow")),
    ("Which planet is nearest to the Sun?", ("Venus", "Mars", "Mercury", "Saturn")),
    ("What does a plant take from the air?", ("carbon dioxide", "helium", "neon")),
    ("Which state of matter keeps its shape?", ("solid", "liquid", "gas")),
    ("Which of these is a renewable source?", ("coal", "wind", "oil", "natural gas")),
    ("Which force pulls a ball down?", ("friction", "gravity", "magnetism")),
    ("Which of these is an insect?", ("spider", "crab", "beetle", "worm")),
)

_SETTLED = {
    "in a sentence": "Looking at each of them in turn, everything speaks for {one}, and I would stand by that.",
    "against another": "It is tempting to say {other}, but that does not hold; what remains is {one}.",
    "at the end": "At first sight {other} seems likely. Thinking about it again, I choose {one}.",
}
_UNSETTLED = {
    "between two": "It could be {one}, and it could as well be {other}; I cannot decide.",
    "refused": "I am sorry, without more information about this I can say nothing.",
    "taken back": "I first thought of {one}, but that is surely not it, and I do not know what is.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownAnswer:
    """An answer to a question with options; `expected` is the option that it settles on, None where on none."""

    kind: str
    question: str
    options: tuple[str, ...]
    answer: str
    expected: str | None

    @property
    def equal(self) -> bool:
        return self.expected is not None


def known_answers(count: int, seed: int = 0) -> list[KnownAnswer]:
    """`count` answers of each kind, the same for the same seed; what they settle on need not be true."""
    generator = random.Random(seed)
    cases = []
    for number in range(count):
        question, options = _QUESTIONS[number % len(_QUESTIONS)]
        for settled, forms in ((True, _SETTLED), (False, _UNSETTLED)):
            for kind, form in forms.items():
                one, other = generator.sample(options, 2)
                answer = form.format(one=one, other=other)
                expected = one if settled else None
                cases.append(
                    KnownAnswer(kind=kind, question=question, options=options, answer=answer, expected=expected)
                )
    return cases


def with_options_reversed(case: KnownAnswer) -> KnownAnswer:
    return replace(case, options=case.options[::-1])


def verdicts_of_readings(
    judge: Judge, cases: Sequence[KnownAnswer], store: Store, begin: Callable[[int], Advance] | None = None
) -> list[bool | None]:
    """Whether the judge reads in each answer what it settles on, or, where it settles on nothing, anything at all; None
    without a reply. Raises the errors of `harness.judge.ask_judge`."""
    samples = [_sample(number, case) for number, case in enumerate(cases)]
    questions = [question_of(sample, case.answer) for sample, case in zip(samples, cases, strict=True)]
    replies = ask_judge(judge, questions, store, begin and begin(len(questions)))
    return [
        None if reply is None else _verdict(case, sample.target, reply)
        for case, sample, reply in zip(cases, samples, replies, strict=True)
    ]


def _verdict(case: KnownAnswer, problem: Problem, reply: str) -> bool:
    letter = score_scienceqa(problem, reply).parsed if settles(reply) else None
    read = None if letter is None else problem.options[LETTERS.index(letter)]
    return read is not None and case.expected in (None, read)


def _sample(number: int, case: KnownAnswer) -> Sample:
    gold = LETTERS[case.options.index(case.expected)] if case.expected else LETTERS[0]
    problem = Problem(options=case.options, gold=gold)
    return Sample(id=f"known-{number}", prompt=case.question, images=(), target=problem, cluster=case.question)

"""What a judge is asked of the answers to one picture, how its replies are read, and what rewards come of them.

Three forms: `sentences` asks of each sentence whether it is true, `rubric` asks for 1 to 10, `pairwise` asks which of
two answers is better, in both orders. A reply that is missing or cannot be read is no opinion of what it was asked
about, and never guessed. Prompts are this project's; `{question}` is what the answers are answers to.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations
from statistics import fmean
from typing import ClassVar, Literal

from harness.sentences import split_sentences
from harness.types import Verdict

Form = Literal["sentences", "rubric", "pairwise"]
Aggregate = Literal["mean", "min", "sum"]

Reply = str | None

SENTENCE_PROMPT = "Is this true of the image? {sentence}\nAnswer the question using a single word or phrase."

RUBRIC_PROMPT = """\
Somebody was asked about this image: {question}
The answer, between the lines:
---
{answer}
---
How well does the answer fit the image? What it says and is not there weighs most, what it leaves out less; its length \
does not count.
Reply with one whole number from 1 (all wrong) to 10 (all right) and nothing else."""

PAIR_PROMPT = """\
Two people were asked about this image: {question}
Answer A, between the lines:
---
{first}
---
Answer B, between the lines:
---
{second}
---
Which answer fits the image better? What it says and is not there weighs most, what it leaves out less; its length \
does not count.
Reply with the letter A or B and nothing else, or with: equal"""

PROMPTS: dict[Form, tuple[str, tuple[str, ...]]] = {
    "sentences": (SENTENCE_PROMPT, ("sentence",)),
    "rubric": (RUBRIC_PROMPT, ("answer",)),
    "pairwise": (PAIR_PROMPT, ("first", "second")),
}
"""Of each form its prompt, and what a prompt of the user's own must have a place for."""

_YES_NO = re.compile(r"\b(?:yes|no)\b", re.IGNORECASE)
_GRADE = re.compile(r"(?<![-.,/\d])(10|[1-9])(?!\d|[.,]\d)(?:\s*/\s*10(?!\d))?")
_LETTER = re.compile(r"\b[AB]\b")
_EQUAL = re.compile(r"\b(?:equal(?:ly)?|tie)\b", re.IGNORECASE)


def read_yes_no(reply: str) -> bool | None:
    """Whether a reply says yes; None where it says both or neither.

    Example:
        >>> read_yes_no("Yes, it is."), read_yes_no("No."), read_yes_no("Yes and no"), read_yes_no("Perhaps")
        (True, False, None, None)
    """
    words = {word.lower() for word in _YES_NO.findall(reply)}
    return words == {"yes"} if len(words) == 1 else None


def read_grade(reply: str) -> int | None:
    """The only whole number from 1 to 10 in a reply, "8/10" among them; None for several, or none.

    Example:
        >>> read_grade("Score: 8/10."), read_grade("10"), read_grade("7 or 8"), read_grade("7.5"), read_grade("11")
        (8, 10, None, None, None)
    """
    grades = {int(grade) for grade in _GRADE.findall(reply)}
    return grades.pop() if len(grades) == 1 else None


def read_choice(reply: str) -> Literal["first", "second", "equal"] | None:
    """Which of two a reply prefers; None where it names both, or neither and not that they are equal.

    Example:
        >>> read_choice("**B**"), read_choice("Answer A is better."), read_choice("Equal."), read_choice("A or B")
        ('second', 'first', 'equal', None)
    """
    letters = set(_LETTER.findall(reply))
    if len(letters) == 1:
        return "first" if letters == {"A"} else "second"
    return "equal" if not letters and _EQUAL.search(reply) else None


@dataclass(kw_only=True)
class Asking(ABC):
    """A form of asking; `counts` are of the replies to it so far."""

    name: ClassVar[Form]

    prompt: str
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def form(self) -> str:
        """Its name; a prompt of the user's own is another form than the one that is measured under that."""
        return self.name if self.prompt == PROMPTS[self.name][0] else f"{self.name}, own prompt"

    @abstractmethod
    def prompts(self, question: str, answers: Sequence[str]) -> list[str]:
        """What is asked of a group, in an order that `verdicts` knows."""

    @abstractmethod
    def verdicts(self, answers: Sequence[str], replies: Sequence[Reply]) -> list[Verdict]:
        """A verdict to each answer from the replies to `prompts`."""

    @property
    def facts(self) -> dict[str, float]:
        """What the replies tell of the judge itself."""
        return dict(self.counts)

    def _unread(self, reply: Reply) -> None:
        """Count a reply that says nothing."""
        self.counts["no_reply" if reply is None else "unread"] += 1


@dataclass(kw_only=True)
class BySentence(Asking):
    """Yes or no to each sentence. As of an encoder's sentences, `sum` adds a half for a true one and takes a half for a
    false one or one said again; `mean` is the share of true ones, `min` 1 where all are true. Those without an opinion
    are left out."""

    name: ClassVar[Form] = "sentences"

    aggregate: Aggregate = "sum"

    def prompts(self, question: str, answers: Sequence[str]) -> list[str]:
        return [self.prompt.format(question=question, sentence=sentence) for sentence in _sentences(answers)]

    def verdicts(self, answers: Sequence[str], replies: Sequence[Reply]) -> list[Verdict]:
        truths: dict[str, bool] = {}
        for sentence, reply in zip(_sentences(answers), replies, strict=True):
            truth = None if reply is None else read_yes_no(reply)
            if truth is None:
                self._unread(reply)
            else:
                truths[sentence] = truth
                self.counts["yes"] += truth
        return [self._verdict(split_sentences(answer), truths) for answer in answers]

    def _verdict(self, sentences: Sequence[str], truths: dict[str, bool]) -> Verdict:
        judged = [truths[sentence] for sentence in sentences if sentence in truths]
        if not judged:
            return Verdict(reward=None, why="no opinion of any sentence" if sentences else "says nothing")
        why = " ".join({True: "yes", False: "no"}.get(truths.get(sentence), "?") for sentence in sentences)  # type: ignore[arg-type]
        if self.aggregate == "mean":
            return Verdict(reward=fmean(judged), why=why)
        if self.aggregate == "min":
            return Verdict(reward=float(all(judged)), why=why)
        repeats = sum(count - 1 for sentence, count in Counter(sentences).items() if sentence in truths)
        distinct = [truths[sentence] for sentence in dict.fromkeys(sentences) if sentence in truths]
        return Verdict(reward=math.fsum(truth - 0.5 for truth in distinct) - 0.5 * repeats, why=why)


@dataclass(kw_only=True)
class ByRubric(Asking):
    """A grade from 1 to 10 for each answer, as 0 to 1."""

    name: ClassVar[Form] = "rubric"

    def prompts(self, question: str, answers: Sequence[str]) -> list[str]:
        return [self.prompt.format(question=question, answer=answer) for answer in _distinct(answers)]

    def verdicts(self, answers: Sequence[str], replies: Sequence[Reply]) -> list[Verdict]:
        grades: dict[str, int] = {}
        for answer, reply in zip(_distinct(answers), replies, strict=True):
            grade = None if reply is None else read_grade(reply)
            if grade is None:
                self._unread(reply)
            else:
                grades[answer] = grade
        return [
            Verdict(reward=(grades[answer] - 1) / 9, why=f"{grades[answer]} of 10")
            if answer in grades
            else Verdict(reward=None, why="no grade")
            for answer in answers
        ]


@dataclass(kw_only=True)
class ByPairs(Asking):
    """The share of the other answers that an answer is better than. Each two are shown in both orders: what a judge
    says the other way round too counts 1 or 0, what it contradicts a half. Two equal texts are asked about as one."""

    name: ClassVar[Form] = "pairwise"

    def prompts(self, question: str, answers: Sequence[str]) -> list[str]:
        return [
            self.prompt.format(question=question, first=first, second=second)
            for first, second in permutations(_distinct(answers), 2)
        ]

    def verdicts(self, answers: Sequence[str], replies: Sequence[Reply]) -> list[Verdict]:
        choices: dict[tuple[str, str], str] = {}
        for pair, reply in zip(permutations(_distinct(answers), 2), replies, strict=True):
            choice = None if reply is None else read_choice(reply)
            if choice is None:
                self._unread(reply)
            else:
                choices[pair] = choice
                self.counts[f"chose_{choice}"] += 1
        worth: dict[str, list[float]] = {answer: [] for answer in _distinct(answers)}
        for first, second in permutations(worth, 2):
            if (first, second) in choices and (second, first) in choices:
                one_way, other_way = choices[first, second], choices[second, first]
                self.counts["contradicted"] += one_way == other_way != "equal"
                worth[first].append({("first", "second"): 1.0, ("second", "first"): 0.0}.get((one_way, other_way), 0.5))
        return [
            Verdict(reward=fmean(worth[answer]), why=f"against {len(worth[answer])} others")
            if worth.get(answer)
            else Verdict(reward=None, why="no comparison")
            for answer in answers
        ]

    @property
    def facts(self) -> dict[str, float]:
        """`first_preferred`: of the choices of either, the share that fell on the one shown first; a half without a
        bias to the position. `contradicted`: pairs of which it said another thing the other way round."""
        chosen = self.counts["chose_first"] + self.counts["chose_second"]
        share = {"first_preferred": round(self.counts["chose_first"] / chosen, 4)} if chosen else {}
        counts = {name: count for name, count in self.counts.items() if name in ("no_reply", "unread")}
        return {**counts, "contradicted": self.counts["contradicted"] // 2, **share}


def asking(form: Form, prompt: str | None, aggregate: Aggregate) -> Asking:
    """The form at work, with a prompt of the user's own where there is one."""
    text = prompt or PROMPTS[form][0]
    if form == "sentences":
        return BySentence(prompt=text, aggregate=aggregate)
    return ByRubric(prompt=text) if form == "rubric" else ByPairs(prompt=text)


def _sentences(answers: Sequence[str]) -> list[str]:
    """Those of all answers, each once."""
    return list(dict.fromkeys(sentence for answer in answers for sentence in split_sentences(answer)))


def _distinct(answers: Sequence[str]) -> list[str]:
    """The answers that say something, each once."""
    return [answer for answer in dict.fromkeys(answers) if answer.strip()]

"""What the rule leaves unread, taken out of the answer by a judge: ScienceQA and MathVista, and what asks as they do.

Rule first: only answers that are not blank and from which `strict` read nothing are shown to the judge, with the
question and its options, without the picture and without gold. Its reply is read by the same strict rule, so that a
reply that is unclear, or never came, leaves the answer unread. The authors of MathVista have a language model extract
every answer; their prompt is theirs, this one is ours (`PROMPT_VERSION`). Judge and prompt are part of the profile's
name, so that figures of two judges are never compared as if they were one.
Source of the two steps: lupantech/MathVista, evaluation/extract_answer.py and calculate_score.py; protocols, MathVista.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.judge import Judge, ask_judge
from harness.profiles import PLAIN
from harness.results import TaskResult, mark
from harness.store import Store
from harness.thoughts import answer_of
from harness.types import Advance, Sample, Scorer
from tasks.mathvista.readers import Question
from tasks.reading.readers import LETTERS
from tasks.scienceqa.marks import Problem

PROMPT_VERSION = 1

CONTROLS = 50
"""How many answers that the rule does read are shown too: a judge that cannot read guesses, and is known by this."""

_PROMPT = """\
Somebody was asked a question and answered in free words. Find the short answer that these words settle on.
Do not solve the question yourself and do not correct the answer.
The question, between the lines:
---
{question}
---
{options}The answer, between the lines:
---
{answer}
---
Reply with {form} and nothing else. If the answer settles on nothing, or on several things, reply: unclear"""

_LETTER = "the letter of the option that it chooses"
_FORMS = {
    "integer": "the whole number that it gives, in digits,",
    "float": "the number that it gives, in digits with all its decimals,",
    "list": "the numbers that it gives, as a list such as [1, 2.5],",
}
_UNCLEAR = re.compile(r"\bunclear\b", re.IGNORECASE)


def judged_profile(judge: Judge) -> str:
    """The name of "strict, and what it leaves unread by this judge and prompt"."""
    return f"{PLAIN}+{judge.id}/{PROMPT_VERSION}"


def can_judge(samples: Sequence[Sample]) -> bool:
    """Whether these are questions of a kind whose answers a judge reads here."""
    return all(isinstance(sample.target, Problem | Question) for sample in samples)


def judge_unread(
    marked: TaskResult,
    samples: Sequence[Sample],
    score: Scorer,
    judge: Judge,
    store: Store,
    begin: Callable[[int], Advance] | None = None,
) -> TaskResult:
    """A result of the profile `strict` with what the judge made of its unread answers, under `judged_profile`.

    `samples` are those of the rows, in their order, with a `Problem` or a `Question` for target; `score` marks by
    `strict`; the judge is shown answers without the thoughts before them. A row that the judge settled counts 1 of
    `by_judge`; its `answer` stays the model's own. `info["judge"]`
    tells how many were asked about, how many of those are read now, how many had no reply, and of how many `controls`
    that the rule reads the judge `agreed`; those change no row.
    `begin` is given how many answers are shown. Raises the errors of `harness.judge.ask_judge`.
    """
    answers = [answer_of(row.answer).answer for row in marked.rows]
    unread = [i for i, row in enumerate(marked.rows) if row.parsed is None and answers[i].strip()]
    clear = [i for i, row in enumerate(marked.rows) if row.parsed is not None]
    few = min(CONTROLS, len(clear)) if unread else 0
    controls = [clear[k * len(clear) // few] for k in range(few)]
    shown = [*unread, *controls]
    questions = [question_of(samples[i], answers[i]) for i in shown]
    replies = dict(zip(shown, ask_judge(judge, questions, store, begin and begin(len(shown))), strict=True))
    read = {
        i: mark(samples[i], marked.rows[i].answer, score(samples[i], reply))
        for i, reply in replies.items()
        if reply is not None and settles(reply)
    }
    rows = list(marked.rows)
    for i in unread:
        if i in read and read[i].parsed is not None:
            rows[i] = replace(read[i], counts={**read[i].counts, "by_judge": 1})
    about = {
        "id": judge.id,
        "prompt": PROMPT_VERSION,
        "sees_pictures": False,
        "asked": len(unread),
        "read": sum("by_judge" in row.counts for row in rows),
        "no_reply": sum(replies[i] is None for i in unread),
        "controls": sum(replies[i] is not None for i in controls),
        "agreed": sum(i in read and read[i].parsed == marked.rows[i].parsed for i in controls),
    }
    return replace(marked, profile=judged_profile(judge), rows=tuple(rows), info={**marked.info, "judge": about})


def settles(reply: str) -> bool:
    """Whether a reply says that the answer settles on something."""
    return _UNCLEAR.search(reply) is None


def question_of(sample: Sample, answer: str) -> Sample:
    """What a judge is asked of an answer to a `Problem` or a `Question`."""
    target: Problem | Question = sample.target
    listed = "".join(f"{letter}. {text}\n" for letter, text in zip(LETTERS, target.options, strict=False))
    form = _LETTER if isinstance(target, Problem) or target.options else _FORMS[target.answer_type]
    prompt = _PROMPT.format(
        question=sample.prompt.strip(),
        options=f"The options:\n{listed}" if listed else "",
        answer=answer.strip(),
        form=form,
    )
    return Sample(id=sample.id, prompt=prompt, images=(), target=None, cluster=sample.cluster)

"""The profile `judge`: a model says whether a box is a required answer, pair by pair.

The judge is shown the two texts alone: without the problem, the figures and the response. It judges every box, and
every part of a box that holds several, against every required answer; equal pairs are asked once, and what it said is
kept. The authors' prompt asks GPT-4o to "focus on numerical and mathematical content"; this one is ours
(`PROMPT_VERSION`). Judge and prompt are part of the profile's name. Before its figures are believed, `strop judges`
measures the judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from harness.judge import Judge, ask_judge
from harness.profiles import details_of
from harness.results import TaskResult, mark
from harness.store import Store
from harness.thoughts import answer_of
from harness.types import Advance, Sample
from tasks.physics.marks import JUDGE, score_lost, score_verdicts
from tasks.physics.rule import Pair, boxes_of, pairs_of
from tasks.physics.task import Physics

PROMPT_VERSION = 1

_PROMPT = """\
A question of physics has the required answer B. Somebody answered A. Both are LaTeX, between the lines:
A
---
{box}
---
B
---
{answer}
---
Are A and B the same answer? They are where they say the same, whatever its form: another way to write a formula, a
quantity in other units, a name in front. They are not where a number, a unit, a sign or a symbol differs in meaning.
Reply with yes or no and nothing else."""

_SAID = re.compile(r"\W*(?P<word>yes|true|no|false)\b", re.IGNORECASE)


def profile_of_judge(judge: Judge) -> str:
    """The name under which a judge's figures stand."""
    return f"{JUDGE}+{judge.id}/{PROMPT_VERSION}"


def read_verdict(reply: str | None) -> bool | None:
    """What a reply begins with: yes or no; None where it is neither, or there is none."""
    match = _SAID.match(reply or "")
    return match["word"].lower() in ("yes", "true") if match else None


def verdicts_of_judge(
    judge: Judge, pairs: Iterable[Pair], store: Store, begin: Callable[[int], Advance] | None = None
) -> dict[Pair, bool | None]:
    """Each pair with the judge's verdict, None without one that can be read. `begin` is given how many are asked.

    Raises the errors of `harness.judge.ask_judge`.
    """
    distinct = list(dict.fromkeys(pairs))
    questions = [
        Sample(id=f"pair-{number}", prompt=_PROMPT.format(box=box, answer=answer), images=(), target=None, cluster=box)
        for number, (box, answer) in enumerate(distinct)
    ]
    replies = ask_judge(judge, questions, store, begin and begin(len(questions)))
    return {pair: read_verdict(reply) for pair, reply in zip(distinct, replies, strict=True)}


def mark_by_judge(
    task: Physics, samples: Sequence[Sample], answers: Sequence[str], judge: Judge, verdicts: dict[Pair, bool | None]
) -> TaskResult:
    """The answers marked by a judge's verdicts; `info["judge"]` tells how many pairs there were, and of how many no
    verdict could be read: these are unequal."""
    details = details_of(task, samples)
    equal = {pair: verdict is True for pair, verdict in verdicts.items()}
    rows = []
    for sample, text in zip(samples, answers, strict=True):
        answer = answer_of(text).answer
        if sample.id in task.lost and not answer.strip():
            rows.append(mark(sample, text, score_lost(sample.target)))
            continue
        unjudged = sum(verdicts[pair] is None for pair in pairs_of(sample.target, answer))
        score = score_verdicts(sample.target, answer, boxes_of(answer), equal, unjudged=float(unjudged))
        rows.append(mark(sample, text, score))
    about = {
        "id": judge.id,
        "prompt": PROMPT_VERSION,
        "sees_pictures": False,
        "pairs": len(verdicts),
        "unjudged": sum(verdict is None for verdict in verdicts.values()),
    }
    return TaskResult(
        task=task.name,
        version=task.version,
        profile=profile_of_judge(judge),
        split="test",
        headline=task.headline,
        metrics=details.metrics,
        rows=tuple(rows),
        info={**details.info, "judge": about},
    )

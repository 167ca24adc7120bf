"""Why the profiles part: every pair on which they do not say the same, and which step of whom said what."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from harness.thoughts import answer_of
from harness.types import Sample
from tasks.physics.evaluations import Evaluation
from tasks.physics.questions import Problem
from tasks.physics.rule import Comparison, Pair, boxes_of

LOST = "lost: no verdict is stored"
OTHER_BOX = "another box: the authors' reader cut it, or did not see it"
NOT_ASKED = "not asked: the box had met an earlier answer"


def reasons_by_sample(
    samples: Sequence[Sample],
    answers: Sequence[str],
    evaluations: Mapping[str, Evaluation],
    by_rule: Mapping[Pair, Comparison],
    by_judge: Mapping[Pair, bool | None] | None = None,
) -> dict[str, list[dict[str, str]]]:
    """Id -> its pairs of whole box and required answer that are equal by one profile and not by another: {"box",
    "answer", "official", "rule"} and, with a judge, "judge", each a verdict and which step it is of. Other samples are
    left out."""
    reasons: dict[str, list[dict[str, str]]] = {}
    for sample, text in zip(samples, answers, strict=True):
        stored = _stored(sample, evaluations)
        boxes = dict.fromkeys(box for box, _ in boxes_of(answer_of(text).answer))
        for pair in dict.fromkeys((box, answer) for box in boxes for answer in sample.target.answers):
            said, official = stored.get(pair, _without_verdict(sample, pair, evaluations))
            comparison = by_rule[pair]
            opinions = {bool(comparison.equal)} | ({said} - {None})
            shown = {"official": official, "rule": f"{_word(comparison.equal)}: {comparison.kind}"}
            if by_judge is not None:
                verdict = by_judge[pair]
                opinions |= {verdict is True}
                shown["judge"] = "unread" if verdict is None else _word(verdict)
            if len(opinions) > 1 or (said is None and comparison.equal):
                reasons.setdefault(sample.id, []).append({"box": pair[0], "answer": pair[1], **shown})
    return reasons


def table_of(reasons: Mapping[str, Sequence[Mapping[str, str]]]) -> list[dict[str, Any]]:
    """The reasons counted: {"official", "rule", ("judge",) "pairs", "samples", "such as"}, the most frequent first."""
    pairs: Counter[tuple[tuple[str, str], ...]] = Counter()
    samples: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for identifier, each in reasons.items():
        for reason in each:
            kind = tuple((who, said) for who, said in reason.items() if who not in ("box", "answer"))
            pairs[kind] += 1
            samples[kind].append(identifier)
    return [
        {**dict(kind), "pairs": count, "samples": len(set(samples[kind])), "such as": samples[kind][0]}
        for kind, count in pairs.most_common()
    ]


def _stored(sample: Sample, evaluations: Mapping[str, Evaluation]) -> dict[Pair, tuple[bool | None, str]]:
    evaluation = evaluations.get(sample.id)
    problem: Problem = sample.target
    if evaluation is None:
        return {}
    return {
        (evaluation.boxes[check.box], problem.walk[check.answer]): (check.right, f"{_word(check.right)}: {check.kind}")
        for check in evaluation.checks
    }


def _without_verdict(sample: Sample, pair: Pair, evaluations: Mapping[str, Evaluation]) -> tuple[bool | None, str]:
    evaluation = evaluations.get(sample.id)
    if evaluation is None:
        return None, LOST
    return None, NOT_ASKED if pair[0] in evaluation.boxes else OTHER_BOX


def _word(equal: bool | None) -> str:
    return "equal" if equal else "unequal"

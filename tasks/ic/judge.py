"""IC by a judge: a model is asked how much of a caption is true, and how much of what is there the caption says.

The method paper (arXiv 2411.17760) has a model give precision and recall of each caption. Its prompt is not known here,
so this one is ours (`PROMPT_VERSION`), and figures under it are comparable with those of the same judge only, which is
why the judge's id is part of their names. A reply that cannot be read and a reply that never came are no grades: the
caption is in neither figure and counted as unjudged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.judge import Judge, ask_judge
from harness.store import Store
from harness.thoughts import answer_of
from harness.types import Advance, Metric, Sample

PROMPT_VERSION = 1

_PROMPT = """\
Somebody described a picture. Judge the description.
In the picture are, as counted by annotators: {objects}.
The description, between the lines:
---
{caption}
---
Precision: how much of what the description says is true of the picture, in percent.
Recall: how much of what is in the picture the description says, in percent.
Reply with these two lines and nothing else, with whole numbers from 0 to 100:
precision: <number>
recall: <number>"""

_NUMBER = r"\W{0,6}?(?<![-.,\d])(\d{1,3})(?!\d|[.,]\d|\s*/(?!\s*100\b))"
_PRECISION = re.compile(r"\bprecision\b" + _NUMBER, re.IGNORECASE)
_RECALL = re.compile(r"\brecall\b" + _NUMBER, re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Opinion:
    """What a judge said of a caption, in 0..1."""

    precision: float
    recall: float


def read_opinion(reply: str) -> Opinion | None:
    """The two percentages of a reply; None where either is missing, given twice, no whole number, or above 100.

    Example:
        >>> read_opinion("Precision: 75%, recall: 50")
        Opinion(precision=0.75, recall=0.5)
        >>> read_opinion("precision: 0.75, recall: 50") is None
        True
    """
    percentages = [[int(number) for number in pattern.findall(reply)] for pattern in (_PRECISION, _RECALL)]
    if any(len(numbers) != 1 or numbers[0] > 100 for numbers in percentages):
        return None
    return Opinion(precision=percentages[0][0] / 100, recall=percentages[1][0] / 100)


def judge_metrics(judge: str) -> tuple[Metric, ...]:
    """Precision and recall, each a mean over the captions that have one, and the share without, of the judge so named.

    A blank caption says nothing true or false: it is in recall, as 0, and not in precision.
    """
    return (
        Metric(name=f"precision by {judge}", terms={"judge_precision": 1}, over={"precision_judged": 1}),
        Metric(name=f"recall by {judge}", terms={"judge_recall": 1}, over={"recall_judged": 1}),
        Metric(name=f"unjudged by {judge}", terms={"unjudged": 1}, over={"captions": 1}, better="lower"),
    )


def judge_captions(
    judge: Judge,
    samples: Sequence[Sample],
    answers: Sequence[str],
    images: Path | None,
    store: Store,
    advance: Advance | None = None,
) -> list[Opinion | None]:
    """An opinion of each caption, without the thought before it; None where there is none; a blank caption is not asked
    about.

    With `images`, a folder, the judge sees each picture beside the annotators' counts. Raises `PictureError` for a
    picture that is not there, and the errors of `harness.judge.ask_judge`.
    """
    captions = [answer_of(text).answer for text in answers]
    questions = [
        _question(sample, caption, images) for sample, caption in zip(samples, captions, strict=True) if caption.strip()
    ]
    replies = iter(ask_judge(judge, questions, store, advance))
    opinions: list[Opinion | None] = []
    for caption in captions:
        reply = next(replies) if caption.strip() else None
        opinions.append(None if reply is None else read_opinion(reply))
    return opinions


def opinion_counts(caption: str, opinion: Opinion | None) -> dict[str, float]:
    """What a caption, with or without a thought before it, adds to the sums of `judge_metrics`."""
    if not answer_of(caption).answer.strip():
        return {"judge_recall": 0, "recall_judged": 1, "unjudged": 0}
    if opinion is None:
        return {"unjudged": 1}
    return {
        "judge_precision": opinion.precision,
        "precision_judged": 1,
        "judge_recall": opinion.recall,
        "recall_judged": 1,
        "unjudged": 0,
    }


def _question(sample: Sample, caption: str, images: Path | None) -> Sample:
    pictures: Sequence[Path] = [] if images is None else [images / sample.meta["file_name"]]
    return Sample(
        id=sample.id,
        prompt=_PROMPT.format(objects=_listed(sample.target), caption=caption.strip()),
        images=tuple(pictures),
        target=None,
        cluster=sample.cluster,
    )


def _listed(target: Mapping[str, int | None]) -> str:
    return ", ".join(f"{'several' if count is None else count} {name}" for name, count in sorted(target.items()))

"""What a judge of the loops makes of texts whose verdict is known, asked in one of its forms."""

from __future__ import annotations

from collections.abc import Sequence

from harness.examination import KnownTexts
from harness.judge import Judge, ask_judge
from harness.store import Store
from harness.types import Advance, Sample
from loops.verify.judge_forms import Form, Reply, asking, read_choice, read_grade, read_yes_no


def verdicts_of_texts(
    judge: Judge, form: Form, cases: Sequence[KnownTexts], store: Store, advance: Advance | None = None
) -> list[bool | None]:
    """Whether the judge says yes to each case: that its text is true (`sentences`), or that the better of two is better
    (`rubric`, `pairwise`, in the order in which they stand); of two that say the same, that one of them is. None
    without replies that can be read. Raises the errors of `harness.judge.ask_judge`."""
    # of two texts `pairwise` asks in both orders, of which a case is one
    prompts = [asking(form, None, "sum").prompts(case.question, case.texts) for case in cases]
    used = [each[:1] if form == "pairwise" else each for each in prompts]
    questions = [
        Sample(id=f"known-{number}", prompt=prompt, images=case.pictures, target=None, cluster=str(number))
        for number, (case, several) in enumerate(zip(cases, used, strict=True))
        for prompt in several
    ]
    replies = iter(ask_judge(judge, questions, store, advance))
    return [_verdict(form, case, [next(replies) for _ in each]) for case, each in zip(cases, used, strict=True)]


def _verdict(form: Form, case: KnownTexts, replies: Sequence[Reply]) -> bool | None:
    if form == "rubric":
        first, second = (None if reply is None else read_grade(reply) for reply in replies)
        if first is None or second is None:
            return None
        preferred = None if first == second else int(second > first)
    elif form == "pairwise":
        (reply,) = replies
        choice = None if reply is None else read_choice(reply)
        if choice is None:
            return None
        preferred = {"first": 0, "second": 1}.get(choice)
    else:
        (reply,) = replies
        return None if reply is None else read_yes_no(reply)
    return preferred is not None and case.right in (None, preferred)

"""Scores a file of answers that is bound to its truth: what the commands of `strop score` share, without a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.marking import Answered
    from harness.results import Results, TaskResult
    from strop.evaluation import Evaluation

Judged = Callable[[Sequence["TaskResult"], "Answered"], list["TaskResult"]]
"""Adds a judge's opinions to results."""


def score_answered(
    answered: Mapping[str, Answered], *, name: str | None = None, judged: Judged | None = None
) -> Evaluation:
    """The answers of a file marked under each profile, with intervals; one entry of `results.tasks` a profile."""
    from harness.files import digest_of_bytes, digest_of_file
    from harness.marking import mark_by_profiles
    from harness.provenance import provenance
    from harness.results import Results
    from harness.stats import estimate
    from strop.evaluation import Evaluation

    first = next(iter(answered.values()))
    marked = mark_by_profiles(answered)
    if judged is not None:
        marked = judged(marked, first)
    digests = [digest_of_file(path) for path in first.files]
    data = _truth_digest(first)
    results = Results(
        model=name or ", ".join(path.stem for path in first.files),
        digest=digests[0] if len(digests) == 1 else digest_of_bytes(*(digest.encode() for digest in digests)),
        parent=None,
        tasks=tuple(replace(result, data=data) for result in marked),
        provenance={
            **provenance(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "answers": ", ".join(path.name for path in first.files),
            "truth": first.truth.name if first.truth else "",
        },
    )
    return Evaluation(results=results, estimates=tuple(estimate(result.rows, result.metrics) for result in marked))


def write_scores(evaluation: Evaluation, out: Path) -> Evaluation:
    """Write the results folder of one profile; the scores of the same answers are replaced, others' are not.

    Raises `UsageError` for several profiles, and for a folder with the results of other answers.
    """
    from harness.results import write_results

    refuse_profiles(len(evaluation.results.tasks) > 1)
    _refuse_other_results(out, evaluation.results)
    write_results(out, evaluation.results, evaluation.figures())
    return replace(evaluation, folder=out)


def refuse_profiles(several: bool) -> None:
    """Raises `UsageError` where several profiles are to be written into one folder."""
    if several:
        raise UsageError("--out holds one profile; name it, or leave --out away to see all of them")


def _truth_digest(answered: Answered) -> str | None:
    """The digest of the truth's files; None for outputs that hold their own questions, which differ from each other
    whatever is asked."""
    from harness.files import digest_of_bytes

    truth = answered.truth
    if truth is None or truth in answered.files:
        return None
    paths = [truth]
    if truth.is_dir():
        names = answered.info.get("truth_files") or [path.name for path in truth.iterdir() if path.is_file()]
        paths = sorted(truth / name for name in names)
    return digest_of_bytes(*(path.read_bytes() for path in paths))


def _refuse_other_results(out: Path, results: Results) -> None:
    """Scoring the same answers again may replace its own results, and nobody else's."""
    from harness.results import read_owner

    if (out / "results.json").exists() and read_owner(out).digest != results.digest:
        raise UsageError(f"--out {out} holds the results of other answers; name another folder or remove it")

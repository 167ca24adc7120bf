"""ScienceQA: science questions with two to five options. Marks of the letters, and metrics.

Protocol: the test split has 4241 questions, 2017 of them with a picture (SQA-IMG, which tables of VLMs print). The
prompt is LLaVA's CQM-A: context, question, options, and the letter is asked for. What is not a bare letter is read in
four ways (`tasks.reading.readers.OPTION_PROFILES`), one reason why a single model has been reported from 36 to 69.5.
An answer that cannot be read is wrong under every profile and counted as unread; the authors of ScienceQA, and
VLMEvalKit after its rules, put a random option there, which no profile here does.
Source: lupantech/ScienceQA (Lu et al., Learn to Explain, 2022); haotian-liu/LLaVA; protocols, ScienceQA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.profiles import PLAIN
from harness.types import Metric, Score
from tasks.reading.cells import cell_metrics, cell_score
from tasks.reading.readers import OPTION_PROFILES

NAME = "scienceqa"
VERSION = 2
HEADLINE = "image/accuracy"

REPLICAS = frozenset(OPTION_PROFILES) - {PLAIN}
"""The profiles that read what somebody else's script reads, thoughts and all (`harness.types.Replicating`)."""

CELLS = ("image", "text", "no context")
"""Questions with a picture, with a text (the hint), with neither: the paper's IMG, TXT, NO. The first two overlap."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What an answer is marked by: the options' texts, the letter of the right one, and the cells it is counted in."""

    options: tuple[str, ...]
    gold: str
    cells: tuple[str, ...] = ()


def scienceqa_metrics(cells: Sequence[str] = CELLS) -> tuple[Metric, ...]:
    """Accuracy and unread share as fractions, of all questions and of each cell, e.g. `image/accuracy`."""
    return cell_metrics(cells)


def score_scienceqa(problem: Problem, answer: str, profile: str = "strict") -> Score:
    """Mark one answer; `profile` is one of `tasks.reading.readers.OPTION_PROFILES`, `parsed` the letter read or None.

    Raises `UsageError` for an unknown profile.
    """
    if profile not in OPTION_PROFILES:
        raise UsageError(f"ScienceQA has no profile '{profile}'; it has {', '.join(OPTION_PROFILES)}")
    read = OPTION_PROFILES[profile](answer, problem.options)
    return cell_score(read == problem.gold, read, problem.cells)

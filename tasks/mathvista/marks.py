"""MathVista: mathematics in pictures, by option or by number. Marks, and their metrics.

Protocol: testmini has 1000 questions, 540 with options and 460 that want an integer, a float or a list. The answer is
free text; the authors let a language model take the short answer out of it, store that beside the response, and compare
by rule. What a figure is read from is its profile's business: `read_official` and `read_official_old_integers` start
from the extraction where one is stored, the others from the model's own words, so that what a second model made up is
no mark of the first. No profile here asks a model. An answer from which nothing is read is wrong and counted as
unread.
Source: lupantech/MathVista (Lu et al., MathVista, 2023), evaluation/extract_answer.py and calculate_score.py;
protocols, MathVista.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import UsageError
from harness.profiles import PLAIN
from harness.types import Metric, Sample, Score
from tasks.mathvista.readers import MATHVISTA_PROFILES, Question, Reply
from tasks.reading.cells import cell_metrics, cell_score

NAME = "mathvista"
VERSION = 2
HEADLINE = "accuracy"
EXTRACTED = "official"
"""The profile of the authors' script, which starts from the short answer that a language model took out."""

REPLICAS = frozenset(MATHVISTA_PROFILES) - {PLAIN}
"""The profiles that read what somebody else's script reads, thoughts and all (`harness.types.Replicating`)."""

KEYS = ("language", "source", "category", "task", "context", "grade", "skills")
"""What the authors break accuracy down by, after the types of question and answer. A question has several skills."""


def mathvista_metrics(cells: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Accuracy and unread share as fractions, of all questions and of each cell, e.g. `grade/college/accuracy`."""
    return cell_metrics(cells)


def score_mathvista(question: Question, reply: Reply, profile: str = "strict") -> Score:
    """Mark one answer; `profile` is one of `MATHVISTA_PROFILES`. `parsed` is what is compared with the gold, or None.

    Raises `UsageError` for an unknown profile.
    """
    if profile not in MATHVISTA_PROFILES:
        raise UsageError(f"MathVista has no profile '{profile}'; it has {', '.join(MATHVISTA_PROFILES)}")
    read = MATHVISTA_PROFILES[profile](reply, question)
    return cell_score(read == question.answer, read, question.cells)


def cells_of(samples: Sequence[Sample]) -> list[str]:
    """Every cell that occurs, in the order of the keys and, within one, of the names."""
    order = ("question_type", "answer_type", *KEYS)
    cells = {cell for sample in samples for cell in sample.target.cells}
    return sorted(cells, key=lambda cell: (order.index(cell.split("/", 1)[0]), cell))

"""Files of boxes as answers, joined to the questions on a file of COCO's instances."""

from __future__ import annotations

from pathlib import Path

from harness.marking import Answered
from harness.profiles import PLAIN, chosen_profiles
from tasks.data.ids import ids_digest
from tasks.data.rows import read_rows, refuse_repeats, refuse_unanswered, refuse_unknown
from tasks.grounding.questions import annotations_of, load_questions
from tasks.grounding.readers import PROFILES
from tasks.grounding.task import Grounding, grounding_annotations
from tasks.reading.row_claims import echoes_in


def load_answers(answers: Path, annotations: Path, *, partial: bool = False) -> Answered:
    """Answers (a JSON object a line with `question_id` and `text`) joined to the questions on a file of instances.

    Raises `DataError` as `load_questions` does, for an id given twice or of no question, and, unless `partial`, for a
    question without an answer.
    """
    questions = {sample.id: sample for sample in load_questions(annotations)}
    rows = [(row, row.identifier("question_id")) for row in read_rows(answers)]
    ids = [(row.location, identifier) for row, identifier in rows]
    refuse_repeats(ids, "question_id")
    refuse_unknown(ids, "question_id", questions.keys(), annotations)
    boxes = {identifier: row.text("text") for row, identifier in rows}
    unanswered = [identifier for identifier in questions if identifier not in boxes]
    refuse_unanswered(answers, unanswered, len(boxes), partial)
    samples, texts = tuple(questions[identifier] for identifier in boxes), tuple(boxes.values())
    info = {"truth": annotations.name, "ids": ids_digest(questions), "unanswered": unanswered}
    return Answered(
        task=Grounding(about={**info, **echoes_in(answers, samples, texts)}),
        samples=samples,
        answers=texts,
        files=(answers,),
        truth=annotations,
    )


def open_answers(
    answers: Path, *, data: Path, truth: Path | None = None, profile: str | None = None, partial: bool = False
) -> dict[str, Answered]:
    """Profile -> answers, for the profile of that name (default: strict) or "all".

    As `load_answers`; `truth` is a file of instances or a folder of them, by default that of the data folder.
    """
    profiles = chosen_profiles(profile or PLAIN, PROFILES)
    annotations = annotations_of(truth) if truth else grounding_annotations(data.expanduser())
    return dict.fromkeys(profiles, load_answers(answers, annotations, partial=partial))

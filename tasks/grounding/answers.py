"""Files of boxes as answers, joined to the questions on a file of COCO's instances."""

from __future__ import annotations

from pathlib import Path

from tasks.data.ids import ids_digest
from tasks.data.rows import AnswerFile, read_rows, refuse_repeats, refuse_unanswered, refuse_unknown
from tasks.grounding.questions import load_questions
from tasks.reading.row_claims import echoes_in


def load_answers(answers: Path, annotations: Path, *, partial: bool = False) -> AnswerFile:
    """Answers (a JSON object a line with `question_id` and `text`) joined to the questions on a file of instances.

    Raises `DataError` as `load_questions` does, for an id given twice or of no question, and, unless `partial`, for a
    question without an answer.
    """
    questions = {sample.id: sample for sample in load_questions(annotations)}
    rows = [(row, row.identifier("question_id")) for row in read_rows(answers)]
    identified = [(row.location, identifier) for row, identifier in rows]
    refuse_repeats(identified, "question_id")
    refuse_unknown(identified, "question_id", questions.keys(), annotations)
    text_of = {identifier: row.text("text") for row, identifier in rows}
    unanswered = [identifier for identifier in questions if identifier not in text_of]
    refuse_unanswered(answers, unanswered, len(text_of), partial)
    samples, texts = tuple(questions[identifier] for identifier in text_of), tuple(text_of.values())
    info = {"truth": annotations.name, "ids": ids_digest(questions), "unanswered": unanswered}
    return AnswerFile(samples=samples, answers=texts, info={**info, **echoes_in(answers, samples, texts)})

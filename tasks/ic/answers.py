"""Files of captions, joined to the pictures of an IC set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.types import Sample
from tasks.data.ids import ascending, ids_digest
from tasks.data.rows import AnswerFile, refuse_unanswered
from tasks.ic.build import TRUTH_FILE
from tasks.ic.questions import load_questions
from tasks.reading.caption_files import Captioned, join_images, read_captions
from tasks.reading.object_words import ChairTables
from tasks.reading.row_claims import echoes_in


def load_answers(answers: Path, truth: Path, tables: ChairTables, *, partial: bool = False) -> AnswerFile:
    """Captions joined to a set of pictures: `join_truth` of `caption_files.read_captions`."""
    return join_truth(answers, read_captions(answers), truth, tables, partial=partial)


def join_truth(
    answers: Path, captions: Sequence[Captioned], truth: Path, tables: ChairTables, *, partial: bool = False
) -> AnswerFile:
    """The captions of a file joined to a set that `tasks.ic.build.write_ic` wrote: its folder or its truth file.

    `Sample.target` maps each class in the picture to how many there are, None where nobody counted. Raises
    `DataError` for what `caption_files.join_images` names, for a truth in another layout, for a category that the
    synonyms know no class for, and, unless `partial`, for a picture of the set without a caption.
    """
    path = truth / TRUTH_FILE if truth.is_dir() else truth
    questions = load_questions(path, tables)
    joined = join_images(captions, _Asked(questions), path)
    unanswered = [image for image in ascending(questions) if image not in joined]
    refuse_unanswered(answers, unanswered, len(joined), partial)
    info = {
        "truth": truth.name or truth.resolve().name,
        "truth_files": [path.name],
        "ids": ids_digest(questions),
        "images_of_truth": len(questions),
        "captions": len(joined),
        "unanswered": unanswered,
    }
    samples, captions_said = tuple(questions[image] for image in joined), tuple(joined.values())
    return AnswerFile(
        samples=samples, answers=captions_said, info={**info, **echoes_in(answers, samples, captions_said)}
    )


class _Asked(dict[str, Sample]):
    """The questions of a set as images that captions may name."""

    @property
    def file_names(self) -> Mapping[str, str]:
        return {image: str(sample.meta["file_name"]) for image, sample in self.items()}

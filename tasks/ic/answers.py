"""Files of captions, joined to the pictures of an IC set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.marking import Answered
from harness.profiles import chosen_profiles
from harness.types import Sample
from tasks.data.defaults import default_file
from tasks.data.ids import ascending, ids_digest
from tasks.data.rows import refuse_unanswered
from tasks.ic.build import TRUTH_FILE
from tasks.ic.marks import NAME
from tasks.ic.questions import load_questions
from tasks.ic.task import Ic
from tasks.reading.caption_files import Captioned, join_images, read_captions
from tasks.reading.object_words import (
    PROFILES,
    CaptionReader,
    ChairTables,
    available_profile,
    load_tables,
    tables_folder,
)
from tasks.reading.row_claims import echoes_in


def load_answers(
    answers: Path, truth: Path, tables: ChairTables, *, profile: str = "official", partial: bool = False
) -> Answered:
    """Captions joined to a set of pictures: `join_truth` of `caption_files.read_captions`."""
    return join_truth(answers, read_captions(answers), truth, tables, profile=profile, partial=partial)


def open_answers(
    answers: Path,
    *,
    data: Path,
    truth: Path | None = None,
    profile: str | None = None,
    partial: bool = False,
    id_key: str | None = None,
    answer_key: str | None = None,
    fetch: Callable[[list[str], Path], None] | None = None,
) -> dict[str, Answered]:
    """Profile -> captions, with the set of the data folder where `truth` does not name one; the options are those of
    `tasks.chair.answers.open_answers`."""
    profiles = (None,) if profile is None else chosen_profiles(profile, PROFILES)
    captions = read_captions(answers, id_key, answer_key)  # a bad line is told before anything large is loaded
    data = data.expanduser()
    truth = truth or default_file("--truth", data / NAME, TRUTH_FILE).parent
    tables = load_tables(tables_folder(truth, data))
    names = [available_profile(name, truth, data, fetch) for name in profiles]
    return {name: join_truth(answers, captions, truth, tables, profile=name, partial=partial) for name in names}


def join_truth(
    answers: Path,
    captions: Sequence[Captioned],
    truth: Path,
    tables: ChairTables,
    *,
    profile: str = "official",
    partial: bool = False,
) -> Answered:
    """The captions of a file joined to a set that `tasks.ic.build.write_ic` wrote: its folder or its truth file.

    `Sample.target` maps each class in the picture to how many there are, None where nobody counted. Raises
    `DataError` for what `caption_files.join_images` names, for a truth in another layout, for a category that the
    synonyms know no class for, and, unless `partial`, for a picture of the set without a caption.
    """
    path = truth / TRUTH_FILE if truth.is_dir() else truth
    questions = load_questions(path, tables)
    joined = join_images(captions, _ImagesOfSet(questions), path)
    unanswered = [image for image in ascending(questions) if image not in joined]
    refuse_unanswered(answers, unanswered, len(joined), partial)
    info: dict[str, Any] = {
        "truth": truth.name or truth.resolve().name,
        "truth_files": [path.name],
        "ids": ids_digest(questions),
        "images_of_truth": len(questions),
        "captions": len(joined),
        "unanswered": unanswered,
    }
    samples, answered = tuple(questions[image] for image in joined), tuple(joined.values())
    normaliser = PROFILES[profile]
    info |= echoes_in(answers, samples, answered)
    info |= {"normaliser": f"{normaliser.package} {version(normaliser.package)}"}
    reader = CaptionReader(profile=profile, normaliser=normaliser, tables=tables, info=info)
    return Answered(task=Ic(bound=reader), samples=samples, answers=answered, files=(answers,), truth=truth)


class _ImagesOfSet(dict[str, Sample]):
    """The questions of a set as images that captions may name."""

    @property
    def file_names(self) -> Mapping[str, str]:
        return {image: str(sample.meta["file_name"]) for image, sample in self.items()}

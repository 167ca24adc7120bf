"""Files of published captions, joined to the objects of their images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.types import Sample
from tasks.chair.questions import IMAGES, PROMPT
from tasks.chair.truth import open_truth
from tasks.data.rows import AnswerFile
from tasks.reading.caption_files import Captioned, join_images, read_captions, refuse_too_few
from tasks.reading.object_words import ChairTables, load_tables, normalise
from tasks.reading.row_claims import echoes_in


def load_answers(
    answers: Path,
    truth: Path,
    *,
    objects: str = "all",
    tables: ChairTables | None = None,
    words: Callable[[str], Sequence[str]] = normalise,
    partial: bool = False,
) -> AnswerFile:
    """Published captions joined to the objects of their images: `join_truth` of `caption_files.read_captions`."""
    captions = read_captions(answers)
    return join_truth(answers, captions, truth, objects=objects, tables=tables, words=words, partial=partial)


def join_truth(
    answers: Path,
    captions: Sequence[Captioned],
    truth: Path,
    *,
    objects: str = "all",
    tables: ChairTables | None = None,
    words: Callable[[str], Sequence[str]] = normalise,
    partial: bool = False,
) -> AnswerFile:
    """The captions of a file joined to the objects of their images; `Sample.target` is a frozenset of classes.

    `truth` is a `ground_truth_*.json`, gzipped or not: ``{"categories": [names], "images": {"<id>": [indices]}}``; or a
    folder of COCO's ``instances*.json`` and ``captions*.json``, from which the classes are worked out by `tables`
    (default: those of that folder) and `words`, the normaliser. `objects` says which of the two truths of
    `tasks.chair.truth` is meant. The two published builds of the ready-made truth differ, so `info["truth"]` names the
    file or folder, and `info["objects"]` what is in it.

    A truth mostly knows more images than are captioned, and which were meant it does not say: complete is a file that
    captions all of them, or as many as the protocol does (`IMAGES`). Raises `DataError` where it has fewer, unless
    `partial`, and the errors of `caption_files.join_images` and `chair_truth.read_truth`.
    """
    if tables is None and truth.is_dir():
        tables = load_tables(truth)
    # A ready-made truth names its classes itself.
    known_truth = open_truth(truth, tables or ChairTables(synonyms={}), objects=objects, words=words)
    joined = join_images(captions, known_truth, truth)
    refuse_too_few(answers, len(joined), min(len(known_truth), IMAGES), partial)
    samples = tuple(
        Sample(id=image, prompt=PROMPT, images=(), target=known_truth.classes(image), cluster=image, meta={})
        for image in joined
    )
    info = {
        "truth": truth.name or truth.resolve().name,
        "truth_files": [path.name for path in known_truth.files],
        "objects": known_truth.about,
        "images_of_truth": len(known_truth),
        "captions": len(joined),
        **echoes_in(answers, samples, tuple(joined.values())),
    }
    return AnswerFile(samples=samples, answers=tuple(joined.values()), info=info)

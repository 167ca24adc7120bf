"""Files of published captions, joined to the objects of their images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.marking import Answered
from harness.profiles import chosen_profiles, profile_of
from harness.types import Sample
from tasks.chair.marks import NAME
from tasks.chair.questions import IMAGES, PROMPT
from tasks.chair.task import Chair
from tasks.chair.truth import open_truth, truth_in
from tasks.data.defaults import default_file
from tasks.reading.caption_files import Captioned, join_images, read_captions, refuse_too_few
from tasks.reading.object_words import (
    PROFILES,
    CaptionReader,
    ChairTables,
    available_profile,
    load_tables,
    tables_folder,
)
from tasks.reading.row_claims import echoes_in


def load_answers(answers: Path, truth: Path, **options: Any) -> Answered:
    """Published captions joined to the objects of their images: `join_truth` of `caption_files.read_captions`."""
    return join_truth(answers, read_captions(answers), truth, **options)


def open_answers(
    answers: Path,
    *,
    data: Path,
    truth: Path | None = None,
    objects: str = "all",
    profile: str | None = None,
    partial: bool = False,
    id_key: str | None = None,
    answer_key: str | None = None,
    fetch: Callable[[list[str], Path], None] | None = None,
) -> dict[str, Answered]:
    """Profile -> captions, for the profile of that name or "all"; default: official, lemminflect without NLTK's data.

    As `load_answers`, with the truth of the data folder where it is not named; `id_key` and `answer_key` are as in
    `caption_files.read_captions`, `fetch` as in `object_words.available_profile`. Each profile has a truth of its own
    where its normaliser reads human captions.
    """
    profiles = (None,) if profile is None else chosen_profiles(profile, PROFILES)
    captions = read_captions(answers, id_key, answer_key)  # a bad line is told before anything large is loaded
    data = data.expanduser()
    truth = truth or truth_in(data / NAME) or default_file("--truth", data / NAME, "ground_truth_<build>.json.gz")
    tables = load_tables(tables_folder(truth, data))
    return {
        profile_of(answered.task): answered
        for answered in (
            join_truth(
                *(answers, captions, truth),
                objects=objects,
                tables=tables,
                profile=available_profile(name, truth, data, fetch),
                partial=partial,
            )
            for name in profiles
        )
    }


def join_truth(
    answers: Path,
    captions: Sequence[Captioned],
    truth: Path,
    *,
    objects: str = "all",
    tables: ChairTables | None = None,
    profile: str = "official",
    words: Callable[[str], list[str]] | None = None,
    partial: bool = False,
) -> Answered:
    """The captions of a file joined to the objects of their images; `Sample.target` is a frozenset of classes.

    `truth` is a `ground_truth_*.json`, gzipped or not: ``{"categories": [names], "images": {"<id>": [indices]}}``; or a
    folder of COCO's ``instances*.json`` and ``captions*.json``, from which the classes are worked out by `tables`
    (default: those of that folder) and the normaliser of `profile`, or `words` in its place. `objects` says which of
    the two truths of `tasks.chair.truth` is meant. The two published builds of the ready-made truth differ, so
    `info["truth"]` names the file or folder, and `info["objects"]` what is in it.

    A truth mostly knows more images than are captioned, and which were meant it does not say: complete is a file that
    captions all of them, or as many as the protocol does (`IMAGES`). Raises `DataError` where it has fewer, unless
    `partial`, and the errors of `caption_files.join_images` and `chair_truth.read_truth`.
    """
    if tables is None and truth.is_dir():
        tables = load_tables(truth)
    # A ready-made truth names its classes itself.
    tables = tables or ChairTables(synonyms={})
    normaliser = PROFILES[profile] if words is None else replace(PROFILES[profile], words=words)
    objects_of = open_truth(truth, tables, objects=objects, words=normaliser.words)
    joined = join_images(captions, objects_of, truth)
    refuse_too_few(answers, len(joined), min(len(objects_of), IMAGES), partial)
    samples = tuple(
        Sample(id=image, prompt=PROMPT, images=(), target=objects_of.classes(image), cluster=image, meta={})
        for image in joined
    )
    info = {
        "truth": truth.name or truth.resolve().name,
        "truth_files": [path.name for path in objects_of.files],
        "objects": objects_of.about,
        "images_of_truth": len(objects_of),
        "captions": len(joined),
        **echoes_in(answers, samples, tuple(joined.values())),
        "normaliser": f"{normaliser.package} {version(normaliser.package)}",
    }
    # results are compared only under one profile, and the two truths are two yardsticks
    reader = CaptionReader(
        profile=profile if objects == "all" else f"{profile}/{objects}",
        normaliser=normaliser,
        tables=tables,
        info=info,
    )
    return Answered(
        task=Chair(bound=reader), samples=samples, answers=tuple(joined.values()), files=(answers,), truth=truth
    )

"""CHAIR's truth from COCO annotations is the published one where both exist, and says what is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError, UsageError
from harness.files import write_json
from tasks.chair.answers import load_answers
from tasks.chair.truth import OBJECTS
from tasks.data.annotations import read_captions, read_instances
from tasks.pictos import coco
from tasks.pictos.catalogue import CATEGORIES
from tasks.pictos.world import compose, seeds_of
from tasks.reading.object_words import ChairTables, load_tables, merge_words, named_classes, normalise, tables_folder
from tests.support.annotated import annotate

TOY = ChairTables(synonyms={"cat": ["cat", "kitten"], "bus": ["bus"], "hot dog": ["hot dog"]})


def _words(caption: str) -> list[str]:
    return caption.lower().rstrip(".").split()


def _truth(folder: Path, images: Sequence[int], objects: str = "all", **options: Any) -> dict[str, set[str]]:
    answers = folder / "answers.jsonl"
    answers.write_text("".join(json.dumps({"image_id": image, "caption": ""}) + "\n" for image in images))
    answered = load_answers(answers, folder, objects=objects, partial=True, **options)
    return {sample.id: set(sample.target) for sample in answered.samples}


def _toy(folder: Path, images: Sequence[int], objects: str = "all") -> dict[str, set[str]]:
    return _truth(folder, images, objects, tables=TOY, words=_words)


# Small stories --------------------------------------------------------------------------------------------------------


def test_the_truth_is_what_is_annotated_and_what_people_said(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["bus", "bus"], 2: []}, {1: ["A kitten.", "A bus."], 2: ["Nothing"]})
    assert _toy(tmp_path, [1, 2]) == {"1": {"bus", "cat"}, "2": set()}
    assert _toy(tmp_path, [1, 2], "instances") == {"1": {"bus"}, "2": set()}


def test_instances_alone_need_no_captions(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["hot dog"]})
    assert _toy(tmp_path, [1], "instances") == {"1": {"hot dog"}}
    with pytest.raises(DataError, match=r"captions_\*\.json: no such file; name a folder"):
        _toy(tmp_path, [1])


def test_the_files_of_several_years_are_one_truth(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["bus"]}, {1: ["A cat."]}, "train")
    annotate(tmp_path, {2: ["cat"]}, {2: ["A bus."]}, "val")
    assert _toy(tmp_path, [2, 1]) == {"1": {"bus", "cat"}, "2": {"bus", "cat"}}


def test_a_crowd_of_people_is_people(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["bus"]})
    document = json.loads((tmp_path / "instances_.json").read_text())
    document["annotations"][0]["iscrowd"] = 1
    write_json(tmp_path / "instances_.json", document)
    assert _toy(tmp_path, [1], "instances") == {"1": {"bus"}}


def test_a_result_tells_which_truth_it_was_held_against(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["bus"]}, {1: ["A cat."]})
    _toy(tmp_path, [1])
    for objects, files in (("all", ["instances_.json", "captions_.json"]), ("instances", ["instances_.json"])):
        info = load_answers(tmp_path / "answers.jsonl", tmp_path, objects=objects, tables=TOY, words=_words).info
        assert (info["truth"], info["truth_files"]) == (tmp_path.name, files)
        assert info["objects"] == OBJECTS[objects]


@given(st.dictionaries(st.integers(1, 9), st.lists(st.sampled_from(["cat", "bus", "hot dog"])), min_size=1))
def test_instances_alone_never_hold_more_than_both(
    tmp_path_factory: pytest.TempPathFactory, objects: dict[int, list[str]]
) -> None:
    folder = annotate(tmp_path_factory.mktemp("coco"), objects, {image: ["A kitten."] for image in objects})
    alone, both = (_toy(folder, list(objects), which) for which in ("instances", "all"))
    assert alone == {str(image): set(names) for image, names in objects.items()}
    assert both == {image: names | {"cat"} for image, names in alone.items()}


# Mistakes -------------------------------------------------------------------------------------------------------------


def test_a_ready_made_truth_cannot_be_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text('{"categories": ["cat"], "images": {"1": [0]}}')
    (tmp_path / "answers.jsonl").write_text('{"image_id": 1, "caption": ""}')
    with pytest.raises(UsageError, match=r"truth\.json unites instances with captions and cannot be taken apart"):
        load_answers(tmp_path / "answers.jsonl", tmp_path / "truth.json", objects="instances")
    with pytest.raises(UsageError, match="no truth is called 'captions'; there are all, instances"):
        load_answers(tmp_path / "answers.jsonl", tmp_path / "truth.json", objects="captions")


def test_an_image_nobody_described_is_not_half_a_truth(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["bus"], 2: ["bus"]}, {1: ["A cat."]})
    assert _toy(tmp_path, [1]) == {"1": {"bus", "cat"}}
    with pytest.raises(DataError, match=r"image 2 has no human caption; add them, or count instances only"):
        _toy(tmp_path, [2])


def test_a_category_without_a_class_is_named(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["bus", "tram"]})
    with pytest.raises(DataError, match=r"synonyms\.json has no class for the categories tram; add them there"):
        _toy(tmp_path, [1], "instances")


def test_an_image_that_is_not_annotated_is_refused(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["bus"]})
    with pytest.raises(DataError, match=r"answers\.jsonl:1: image_id 3 is not among the 1 images of"):
        _toy(tmp_path, [3], "instances")


MALFORMED = [
    ("{", r"instances_\.json: not valid JSON"),
    ("[]", r"instances_\.json: not COCO instances"),
    ('{"images": [1]}', r"instances_\.json: not COCO instances"),
    ('{"images": [{"id": 1}]}', r"instances_\.json: image 1: field 'file_name' is missing"),
    (
        '{"images": [], "annotations": [{"id": 7}]}',
        r"instances_\.json: not COCO instances: field 'image_id' is missing",
    ),
    (
        '{"images": [], "annotations": [{"id": 7, "image_id": 4}]}',
        r"1 image with annotations is not under 'images', 4 is the first; list them or drop",
    ),
    (
        '{"images": [{"id": 4, "file_name": ""}], "annotations": [{"id": 7, "image_id": 4, "category_id": 3}]}',
        r"annotation 7 is of category 3, which is not under 'categories'",
    ),
    (
        '{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]}',
        r"instances_\.json: id 1 is given twice under 'images'; keep one",
    ),
    ('{"images": [{"id": 1, "file_name": 7}]}', r"image 1: field 'file_name' must be a string, found 7"),
]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_a_file_that_is_not_cocos_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "instances_.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_instances(tmp_path)


def test_a_folder_without_annotations_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"instances_\*\.json: no such file; name a folder of annotations"):
        read_instances(tmp_path)
    with pytest.raises(DataError, match=r"none/captions_\*\.json: no such folder"):
        read_captions(tmp_path / "none")


def test_a_truth_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"truth\.json: no such file or folder; name the truth by --truth"):
        tables_folder(tmp_path / "truth.json", tmp_path)


def test_reading_annotations_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read_instances(annotate(tmp_path, {1: ["bus"]}))
    assert capsys.readouterr() == ("", "")


# Where both truths exist ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(conformance: Path) -> dict[str, dict[str, set[str]]]:
    """Photo -> build -> its true objects."""
    content = json.loads((conformance / "photos_coco/objects.json").read_text())
    return {image: {build: set(names) for build, names in value["objects"].items()} for image, value in content.items()}


@pytest.fixture(scope="module")
def described(conformance: Path) -> dict[int, list[str]]:
    content = json.loads((conformance / "photos_coco/captions_for_photos.json").read_text())
    return {int(image): captions for image, captions in content.items()}


@pytest.fixture(scope="module")
def tables(conformance: Path, nltk_data: Path) -> ChairTables:
    return load_tables(conformance / "chair")


def test_instances_and_captions_give_the_published_truth(
    photos: dict[str, dict[str, set[str]]], described: dict[int, list[str]], tables: ChairTables, tmp_path: Path
) -> None:
    """The instances are given without whatever a caption names, which the captions alone must bring back."""
    text = {
        image: {name for caption in captions for name in named_classes(merge_words(normalise(caption), tables), tables)}
        for image, captions in described.items()
    }
    rest = {image: sorted(photos[str(image)]["areebol"] - text[image]) for image in described}
    annotate(tmp_path, rest, described)
    assert (sum(map(len, text.values())), sum(map(len, rest.values()))) == (56, 44)
    both = _truth(tmp_path, list(described), tables=tables)
    assert both == {str(image): photos[str(image)]["areebol"] for image in described}
    alone = _truth(tmp_path, list(described), "instances", tables=tables)
    assert alone == {str(image): set(names) for image, names in rest.items()}


def test_the_other_build_differs_where_the_builds_do(
    photos: dict[str, dict[str, set[str]]],
    described: dict[int, list[str]],
    expected: dict[str, Any],
    tables: ChairTables,
    tmp_path: Path,
) -> None:
    annotate(tmp_path, {image: sorted(photos[str(image)]["maxlinn"]) for image in described}, described)
    truth = _truth(tmp_path, list(described), tables=tables)
    other = {image for image, names in truth.items() if names != photos[image]["maxlinn"]}
    assert other == set(expected["photos_coco"]["recomputed"]["photos_where_builds_differ"]) & set(truth)


def test_every_annotated_photo_of_the_published_truth_is_read_back(
    photos: dict[str, dict[str, set[str]]], tables: ChairTables, tmp_path: Path
) -> None:
    for build in ("areebol", "maxlinn"):
        folder = annotate(tmp_path / build, {int(image): sorted(photo[build]) for image, photo in photos.items()})
        truth = _truth(folder, [int(image) for image in photos], "instances", tables=tables)
        assert truth == {image: photo[build] for image, photo in photos.items()}


def test_scenes_in_cocos_format_have_the_truth_of_the_scenes(tmp_path: Path) -> None:
    scenes = [compose(seed) for seed in seeds_of("test", 60)]
    write_json(tmp_path / "instances_test.json", coco.instances(scenes))
    write_json(tmp_path / "captions_test.json", coco.captions(scenes))
    forms = {category.name: [category.name, category.plural] for category in CATEGORIES}
    pairs = {form: form for both in forms.values() for form in both if " " in form}
    tables = ChairTables(synonyms=forms, double_words=pairs)

    def words(caption: str) -> list[str]:
        return caption.lower().replace(".", " .").split()

    for objects in OBJECTS:
        truth = _truth(tmp_path, [scene.seed for scene in scenes], objects, tables=tables, words=words)
        assert truth == {str(scene.seed): set(scene.counts()) for scene in scenes}

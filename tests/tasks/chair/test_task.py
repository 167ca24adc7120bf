"""CHAIR asks for descriptions of OPERA's images, and marks them as published captions are marked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.results import mark
from harness.stats import estimate
from tasks.chair import answers as chair_answers
from tasks.chair import questions as chair_questions
from tasks.chair.task import Chair
from tasks.data.root import DataRoot
from tasks.reading import text
from tasks.reading.object_words import normalisers
from tests.support.answering import answered


def test_chair_describes_operas_500_with_popes_pictures(data: Path, root: DataRoot, conformance: Path) -> None:
    samples = Chair(data_root=root).samples("test")
    assert samples[0].images == (data / "pope/val2014/COCO_val2014_000000226988.jpg",)
    assert {sample.prompt for sample in samples} == {"Please describe this image in detail."}
    published = chair_answers.load_answers(
        conformance / "chair/opera/llava-1.5/greedy.jsonl", conformance / "chair/ground_truth_maxlinn.json.gz"
    )
    assert [(sample.id, sample.target) for sample in samples] == [
        (sample.id, sample.target) for sample in published.samples
    ]


def test_operas_own_captions_say_which_images_too(data: Path, root: DataRoot, conformance: Path) -> None:
    ids = [sample.id for sample in Chair(data_root=root).samples("test")]
    (data / "chair/opera_image_ids.json").unlink()
    shutil.copy(conformance / "chair/opera/llava-1.5/greedy.jsonl", data / "chair")
    assert [sample.id for sample in Chair(data_root=root).samples("test")] == ids


def test_captions_that_are_asked_for_score_as_published_ones_do(data: Path, root: DataRoot, conformance: Path) -> None:
    rows = [json.loads(line) for line in (conformance / "chair/opera/llava-1.5/greedy.jsonl").read_text().splitlines()]
    answer = {str(row["image_id"]): row["caption"] for row in rows}
    task = Chair(data_root=root)
    marked = [mark(sample, answer[sample.id], task.score(sample, answer[sample.id])) for sample in task.samples("test")]
    figures = estimate(marked, task.metrics, draws=1)
    assert round(figures["CHAIRs"].value or 0, 3) == 0.450
    assert round(figures["CHAIRi"].value or 0, 4) == 0.1273
    info = task.details(task.samples("test")).info
    assert (task.profile, info["normaliser"], info["images_of_truth"]) == ("official", "nltk", 123_287)


def test_chair_without_nltks_data_is_read_by_lemminflect_and_says_so(
    data: Path, root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "missing_data", lambda: ["wordnet"])
    normalisers.cache_clear()
    try:
        result = answered(lambda _: "A cat and two dogs.", Chair(data_root=root), 1)
        assert (result.profile, result.info["normaliser"]) == ("lemminflect", "lemminflect")
        assert list(Chair(data_root=root).profiles) == ["lemminflect"]
        assert [mention["name"] for mention in result.rows[0].parsed] == ["cat", "dog"]
    finally:
        normalisers.cache_clear()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"image_ids": [1, "2"]}, "field 'image_ids' must be a list of integers"),
        ({"image_ids": [1, 1]}, "image ids are given twice: 1"),
        ({"image_ids": [1]}, "holds 1 image ids, but the protocol has 2"),
        ({"caption": "a cat"}, "field 'image_id' is missing"),
    ],
)
def test_malformed_ids_are_one_line(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "ids.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        chair_questions.load_image_ids(path, 2)


def test_several_truths_are_for_the_user_to_choose_from(data: Path, root: DataRoot, conformance: Path) -> None:
    shutil.copy(conformance / "chair/ground_truth_areebol.json.gz", data / "chair")
    with pytest.raises(DataError, match=r"holds several: ground_truth_areebol.*keep one there"):
        Chair(data_root=root).samples("test")

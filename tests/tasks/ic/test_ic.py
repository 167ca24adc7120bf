"""IC marks captions by the objects they name and the counts they say, and reads no count that is not clear."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from harness.errors import DataError, StropError, UsageError
from harness.files import write_json, write_jsonl
from harness.results import mark, read_results
from harness.stats import estimate
from harness.types import Sample
from strop.commands.data import data_app
from strop.commands.score import score_app
from tasks.ic.marks import IC_METRICS, said_counts, score_ic
from tasks.pictos import coco
from tasks.pictos.benchmarks import PictosCaptions
from tasks.pictos.language import caption, human_captions
from tasks.pictos.world import compose, seeds_of
from tasks.reading.object_words import PROFILES, ChairTables, merge_words
from tests.support import photos
from tests.support.annotated import annotate, pictos_tables

SYNONYMS = {"dog": ["dog", "puppy"], "person": ["person", "man", "woman", "people"], "traffic light": ["traffic light"]}
TABLES = ChairTables(synonyms=SYNONYMS, double_words={"traffic light": "traffic light"})
WORDS = PROFILES["lemminflect"].words
VOCABULARY = "two 2 three dog dogs puppy a the of , and brown or person people"


def _said(text: str) -> dict[str, int]:
    return said_counts(merge_words(WORDS(text), TABLES), TABLES)


# Counts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Two dogs.", {"dog": 2}),
        ("There are 12 dogs.", {"dog": 12}),
        ("Two large brown dogs and one person.", {"dog": 2, "person": 1}),
        ("Three traffic lights.", {"traffic light": 3}),
        ("Two dogs play. The dogs are happy.", {"dog": 2}),
        ("Of the two dogs one is black.", {"dog": 2}),
        ("Two dogs sit next to three people.", {"dog": 2, "person": 3}),
    ],
)
def test_a_number_before_an_object_is_its_count(text: str, counts: dict[str, int]) -> None:
    assert _said(text) == counts


@pytest.mark.parametrize(
    "text",
    [
        "A dog.",
        "Dogs.",
        "Two of the dogs sleep.",
        "Two men walking dogs.",
        "Two, dogs.",
        "At least two dogs.",
        "Two or three dogs.",
        "Two to three dogs.",
        "Two dozen dogs.",
        "1957 dogs.",
        "0 dogs.",
        "A man and two women.",
        "Two dogs and a puppy.",
        "Two dogs here and three dogs there.",
        "Two dogs and another dog.",
        "One dog sits, the other dog runs.",
    ],
)
def test_what_is_not_clearly_a_count_is_not_read(text: str) -> None:
    assert _said(text) == {}


@given(st.lists(st.sampled_from(VOCABULARY.split()), max_size=12))
def test_whatever_is_read_was_said_and_what_follows_of_others_does_not_change_it(words: list[str]) -> None:
    result = _said(" ".join(words))
    assert set(result) <= {"dog", "person"}
    assert all(({2: {"two", "2"}, 3: {"three"}}[number]) & set(words) for number in result.values())
    assert _said(" ".join([*words, ",", "two", "traffic", "lights"])) == {**result, "traffic light": 2}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_count_said_of_a_scene_is_read_as_meant(profile: str, request: pytest.FixtureRequest) -> None:
    if profile == "official":
        request.getfixturevalue("nltk_data")
    words = PROFILES[profile].words
    tables = pictos_tables(words)
    for scene in (compose(seed) for seed in seeds_of("test", 40)):
        text = said_counts(merge_words(words(caption(scene)), tables), tables)
        assert text.items() <= scene.counts().items()
        assert set(text) == {name for name, count in scene.counts().items() if count > 1}


# Marks ----------------------------------------------------------------------------------------------------------------


def test_a_caption_is_marked_by_its_objects_and_its_counts() -> None:
    score = score_ic(WORDS("Two dogs and three people."), {"dog": 2, "person": 1, "traffic light": 1}, TABLES)
    assert score.value == 2 * 2 / (2 + 3)
    assert score.parsed == [
        {"name": "dog", "right": True, "said": 2, "there": 2},
        {"name": "person", "right": True, "said": 3, "there": 1},
    ]
    assert (score.counts["counts_said"], score.counts["counts_right"]) == (2, 1)


def test_a_count_that_nobody_can_check_is_neither_right_nor_wrong() -> None:
    score = score_ic(WORDS("Two dogs and three people."), {"person": None}, TABLES)
    assert score.counts["counts_said"] == 0
    assert "counts_compared" not in score.counts, "so the caption is none of counts_right's"
    assert score.parsed == [{"name": "dog", "right": False}, {"name": "person", "right": True}]


def test_the_figures_are_ratios_over_all_captions() -> None:
    target = {"dog": 2, "person": 1}
    rows = [
        mark(Sample(id=text, prompt="", images=(), target=target, cluster=text), text, score)
        for text in ("Two dogs.", "A traffic light and one dog.", "")
        for score in [score_ic(WORDS(text), target, TABLES)]
    ]
    figures = {name: (value.value, value.n) for name, value in estimate(rows, IC_METRICS, draws=50).items()}
    assert figures == {
        "precision": (2 / 3, 3),
        "recall": (2 / 6, 3),
        "f1": (4 / 9, 3),
        "words": (3.0, 3),
        "repeated": (0.0, 3),
        "unread": (1 / 3, 3),
        "counts_right": (1 / 2, 2),
        "counts_said": (2 / 3, 3),
    }


def test_the_embedded_world_has_the_same_measure() -> None:
    assert PictosCaptions().metrics == IC_METRICS[:6]


# Files and command ----------------------------------------------------------------------------------------------------


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(score_app, ["ic", *(str(argument) for argument in arguments)])


def _error(*arguments: object) -> StropError:
    result = _run(*arguments)
    assert result.output == ""
    assert isinstance(result.exception, StropError)
    return result.exception


def _build(coco_folder: Path, size: int, out: Path) -> None:
    result = CliRunner().invoke(
        data_app, ["build", "ic", *map(str, ("--coco", coco_folder, "--size", size, "--out", out))]
    )
    assert result.exception is None


def _write_tables(folder: Path, tables: ChairTables) -> None:
    write_json(folder / "synonyms.json", {name: list(words) for name, words in tables.synonyms.items()})
    write_json(folder / "double_words.json", dict(tables.double_words))


def _captions(path: Path, answer: dict[str, str]) -> Path:
    write_jsonl(path, [{"image_id": int(image), "caption": text} for image, text in answer.items()])
    return path


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """A set of two pictures with two dogs each, and its tables in the data folder."""
    objects: Sequence[str] = ["dog", "dog", "person", "traffic light"]
    annotate(tmp_path / "coco", {1: objects, 2: objects})
    _build(tmp_path / "coco", 2, tmp_path / "ic")
    _write_tables(tmp_path / "data/chair", TABLES)
    return tmp_path


def test_a_set_of_scenes_is_built_and_people_describe_it_without_a_fault(tmp_path: Path) -> None:
    scenes = [compose(seed) for seed in seeds_of("test", 120)]
    write_json(tmp_path / "coco/instances_test.json", coco.instances(scenes))
    _build(tmp_path / "coco", 40, tmp_path / "ic")
    _write_tables(tmp_path / "ic", pictos_tables(WORDS))
    ids = json.loads((tmp_path / "ic/ids.json").read_text())["ids"]
    figures = []
    for number in (0, 2):
        text = {image: human_captions(compose(int(image)))[number] for image in ids}
        answers = _captions(tmp_path / f"{number}.jsonl", text)
        arguments = ("--answers", answers, "--truth", tmp_path / "ic", "--profile", "lemminflect", "--json")
        printed = json.loads(_run(*arguments).stdout)
        figures.append({name: entry["value"] for name, entry in printed["metrics"].items()})
    whole, partial = figures
    assert (whole["precision"], whole["recall"], whole["counts_right"], whole["unread"]) == (1, 1, 1, 0)
    assert (partial["precision"], partial["counts_right"]) == (1, 1)
    assert partial["recall"] == 2 * len(ids) / sum(len(compose(int(image)).counts()) for image in ids)


def test_figures_are_filed_with_the_set_they_are_of(dogs: Path) -> None:
    answers = _captions(dogs / "model.jsonl", {"1": "Two dogs.", "2": "Three dogs."})
    arguments = ("--answers", answers, "--truth", dogs / "ic", "--data", dogs / "data", "--profile", "lemminflect")
    printed = json.loads(_run(*arguments, "--out", dogs / "out", "--json").stdout)
    right = printed["metrics"]["counts_right"]
    assert (right["value"], right["n"], right["method"]) == (0.5, 2, "wilson")
    assert printed["info"]["ids"] == json.loads((dogs / "ic/ids.json").read_text())["digest"]
    filed = read_results(dogs / "out").task("ic")
    assert (filed.headline, filed.profile, filed.info) == ("f1", "lemminflect", printed["info"])
    assert filed.rows[1].parsed == [{"name": "dog", "right": True, "said": 3, "there": 2}]
    by_file = json.loads(_run(*arguments[:2], "--truth", dogs / "ic/truth.json", *arguments[4:], "--json").stdout)
    assert by_file["metrics"] == printed["metrics"]


def test_both_readers_of_captions_come_side_by_side(dogs: Path, nltk_data: Path) -> None:
    answers = _captions(dogs / "model.jsonl", {"1": "Two dogs.", "2": "Two dogging people."})
    arguments = ("--answers", answers, "--truth", dogs / "ic", "--data", dogs / "data", "--profile", "all")
    printed = json.loads(_run(*arguments, "--disagreements", dogs / "unlike.jsonl", "--json").stdout)
    assert [(entry["profile"], entry["info"]["normaliser"].split()[0]) for entry in printed] == [
        ("official", "nltk"),
        ("lemminflect", "lemminflect"),
    ]
    unlike = [json.loads(line) for line in (dogs / "unlike.jsonl").read_text().splitlines()]
    assert [(item["id"], item["answer"]) for item in unlike] == [("2", "Two dogging people.")]


def test_the_data_folder_stands_in_for_the_truth(dogs: Path) -> None:
    (dogs / "ic").rename(dogs / "data/ic")
    answers = _captions(dogs / "model.jsonl", {"1": "Two dogs.", "2": ""})
    table = _run("--answers", answers, "--data", dogs / "data", "--profile", "lemminflect").stdout
    assert "counts_right" in table
    assert "truth: ic" in table


def test_a_picture_without_a_caption_is_missed(dogs: Path) -> None:
    answers = _captions(dogs / "model.jsonl", {"2": "Two dogs."})
    arguments = ("--answers", answers, "--truth", dogs / "ic", "--data", dogs / "data", "--profile", "lemminflect")
    assert "has no answer to 1 question: 1; complete the file" in str(_error(*arguments))
    printed = json.loads(_run(*arguments, "--partial", "--json").stdout)
    assert (printed["metrics"]["recall"]["n"], printed["info"]["unanswered"]) == (1, ["1"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benchmark": "pope"}, "field 'benchmark' must be one of ic, found \"pope\""),
        ({"version": 2}, "field 'version' must be 1; build the set again, found 2"),
        (
            {"images": {"1": {"file_name": "1.jpg", "objects": "dog", "counts": {}}}},
            "images: 1: field 'objects' must be",
        ),
        ({"images": {"1": {"file_name": "1.jpg", "objects": ["cat"], "counts": {}}}}, "has no class for cat; add them"),
    ],
)
def test_a_truth_that_is_none_is_told_by_its_field(dogs: Path, change: dict[str, Any], message: str) -> None:
    path = dogs / "ic/truth.json"
    write_json(path, {**json.loads(path.read_text()), **change})
    answers = _captions(dogs / "model.jsonl", {"1": "Two dogs."})
    arguments = ("--answers", answers, "--truth", path, "--data", dogs / "data", "--profile", "lemminflect")
    error = _error(*arguments)
    assert isinstance(error, DataError)
    assert message in str(error)


def test_a_stranger_among_the_captions_and_missing_tables_are_named(dogs: Path) -> None:
    answers = _captions(dogs / "model.jsonl", {"7": "Two dogs."})
    arguments = ("--answers", answers, "--truth", dogs / "ic", "--profile", "lemminflect", "--data")
    assert "image_id 7 is not among the 2 images of" in str(_error(*arguments, dogs / "data"))
    assert "ic/synonyms.json: no such file" in str(_error(*arguments, dogs / "nowhere"))
    assert isinstance(_error(*arguments, dogs / "data", "--images", dogs), UsageError)


# Photographs and people -----------------------------------------------------------------------------------------------


def test_peoples_captions_of_photographs_are_the_ceiling_of_precision(
    conformance: Path, nltk_data: Path, tmp_path: Path
) -> None:
    captions = photos.write(conformance, tmp_path)
    _build(tmp_path / "coco", 99, tmp_path / "ic")
    _write_tables(tmp_path / "ic", photos.load_tables(conformance / "chair"))
    recall = []
    for number in range(1, 6):
        arguments = ("--answers", tmp_path / f"human-{number}.jsonl", "--truth", tmp_path / "ic", "--partial", "--json")
        printed = json.loads(_run(*arguments, "--profile", "official").stdout)["metrics"]
        assert (printed["precision"]["value"], printed["recall"]["n"]) == (1.0, 17)
        assert printed["counts_said"]["value"] == 0, "crowds are not counted"
        recall.append(printed["recall"]["value"])
    rows, figures = photos.ceiling(conformance, captions, without_its_own=False)
    assert len(rows) == 85
    assert figures["recall"].value == pytest.approx(sum(recall) / 5)
    _, strict = photos.ceiling(conformance, captions, without_its_own=True)
    measured = [[figure[name].value for name in ("precision", "recall", "f1")] for figure in (figures, strict)]
    assert [[round(100 * (value or 0), 1) for value in several] for several in measured] == [
        [100, 29.3, 45.3],
        [90.5, 27.3, 41.9],
    ]

"""Captions are found in the layouts that people write them in, and what is ambiguous is told, not guessed."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from harness.errors import DataError
from harness.files import write_json, write_jsonl
from harness.marking import Answered
from strop.commands.score import score_app
from tasks.chair.answers import load_answers
from tasks.ic import answers as ic
from tasks.ic.build import TRUTH_FILE
from tasks.reading.caption_files import ANSWER_KEYS, ID_KEYS, join_images, read_captions
from tasks.reading.object_words import ChairTables
from tests.support.containers import CONTAINERS


class Known(dict[str, str]):
    """Image -> its file."""

    @property
    def file_names(self) -> Mapping[str, str]:
        return {image: file for image, file in self.items() if file}


COCO = Known({"9": "COCO_val2014_000000000009.jpg", "553808": "COCO_val2014_000000553808.jpg"})
READY = Known({"9": "", "553808": ""})


def _joined(path: Path, *rows: Mapping[str, Any], entries: Known = READY, **keys: str) -> dict[str, str]:
    write_jsonl(path / "answers.jsonl", rows)
    return join_images(read_captions(path / "answers.jsonl", **keys), entries, path / "truth.json")


def _refused(path: Path, *rows: Mapping[str, Any], entries: Known = READY, **keys: str) -> str:
    with pytest.raises(DataError) as error:
        _joined(path, *rows, entries=entries, **keys)
    return str(error.value).removeprefix(f"{path}/answers.jsonl")


NAMES = [
    553808,
    553808.0,
    "553808",
    "000000553808",
    "000000553808.jpg",
    "COCO_val2014_000000553808",
    "COCO_val2014_000000553808.jpg",
    "COCO_val2014_000000553808.JPEG",
    "val2014/COCO_val2014_000000553808.jpg",
    "data\\val2017\\000000553808.png",
]


@pytest.mark.parametrize("entries", [READY, COCO], ids=["ids", "ids and files"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ID_KEYS)
def test_an_image_is_known_by_its_id_or_its_file_in_any_field(
    tmp_path: Path, key: str, name: object, entries: Known
) -> None:
    assert _joined(tmp_path, {key: name, "text": "A cat."}, entries=entries) == {"553808": "A cat."}


@pytest.mark.parametrize("key", ANSWER_KEYS)
def test_the_caption_is_in_the_one_field_that_may_be_it(tmp_path: Path, key: str) -> None:
    assert _joined(tmp_path, {"image_id": 9, key: "A cat.", "prompt": "Describe."}) == {"9": "A cat."}


def test_two_fields_that_may_be_the_caption_are_refused_and_one_is_named(tmp_path: Path) -> None:
    row = {"image_id": 9, "answer": "gold", "response": "A cat."}
    assert _refused(tmp_path, row) == ":1: answer, response may each be the caption; say which by --answer-key"
    assert _joined(tmp_path, row, answer_key="response") == {"9": "A cat."}


def test_fields_of_other_names_are_named(tmp_path: Path) -> None:
    row = {"picture": "000000000009.jpg", "said": "A cat."}
    assert _refused(tmp_path, row) == ":1: field 'image_id' is missing; found picture, said"
    assert _joined(tmp_path, row, id_key="picture", answer_key="said") == {"9": "A cat."}


def test_a_row_that_names_two_images_is_refused(tmp_path: Path) -> None:
    row = {"image_id": 9, "image": "COCO_val2014_000000553808.jpg", "caption": "A cat."}
    text = ":1: image_id 9 and image COCO_val2014_000000553808.jpg are two images; say which is meant by --id-key"
    assert _refused(tmp_path, row) == text
    assert _joined(tmp_path, row, id_key="image") == {"553808": "A cat."}
    same = {**row, "image_id": 553808, "question_id": 9, "id": 0, "file_name": "elsewhere.jpg"}
    assert _joined(tmp_path, same) == {"553808": "A cat."}, "ids of rows and files of another folder are no images"


def test_a_picture_in_the_row_is_no_name_of_it(tmp_path: Path) -> None:
    row = {"image": {"bytes": "iVBO"}, "question_id": "COCO_val2014_000000000009.jpg", "answer": "A cat."}
    assert _joined(tmp_path, row) == {"9": "A cat."}


def test_a_row_without_the_field_of_the_others_is_told_and_not_scored_by_another(tmp_path: Path) -> None:
    row = {"id": 553808, "image_id": 9, "caption": "A cat."}
    assert (
        _refused(tmp_path, row, {"id": 9, "caption": "A dog."}) == ":2: field 'image_id' is missing; found id, caption"
    )
    questions = {"image_id": 553808, "text": "Describe the dog."}
    assert _refused(tmp_path, row, questions) == ":2: caption, text may each be the caption; say which by --answer-key"
    assert _joined(tmp_path, {"image_id": 9, "text": "A cat.", "caption": None}) == {"9": "A cat."}


def test_a_picture_in_base_64_is_no_name_and_a_number_without_end_is_a_stranger(tmp_path: Path) -> None:
    row = {"image": "A" * 9999, "image_path": "COCO_val2014_000000000009.jpg", "caption": "A cat."}
    assert _joined(tmp_path, row) == {"9": "A cat."}
    assert "is not among" in _refused(tmp_path, {"image": "9" * 299, "caption": ""})
    assert "is not among" in _refused(tmp_path, {"picture": "9" * 9999, "caption": ""}, id_key="picture")


def test_one_image_under_two_names_is_captioned_twice(tmp_path: Path) -> None:
    rows = ({"image_id": 9, "caption": "A cat."}, {"image_id": "000000000009.jpg", "caption": "A dog."})
    refused = _refused(tmp_path, *rows)
    assert refused == f":2: image_id 9 was already captioned at {tmp_path}/answers.jsonl:1"


def test_a_stranger_is_told_with_the_remedy(tmp_path: Path) -> None:
    text = (
        f"is not among the 2 images of {tmp_path}/truth.json; if another field names the image, say which by --id-key"
    )
    assert _refused(tmp_path, {"image_id": 25, "caption": ""}) == f":1: image_id 25 {text}"
    assert _refused(tmp_path, {"image": "cat-9.jpg", "caption": ""}) == f":1: image cat-9.jpg {text}"


def test_a_file_of_a_truth_that_numbers_files_otherwise_is_found_by_its_name(tmp_path: Path) -> None:
    entries = Known({"9": "shelf/000000000025.jpg", "25": "shelf/tram.jpg"})
    assert _joined(tmp_path, {"image": "000000000025.jpg", "caption": "A cat."}, entries=entries) == {"9": "A cat."}
    assert _joined(tmp_path, {"image": "tram.jpg", "caption": "A tram."}, entries=entries) == {"25": "A tram."}
    assert "image 000000000009.jpg is not among" in _refused(
        tmp_path, {"image": "000000000009.jpg", "caption": ""}, entries=entries
    )


@given(st.integers(1, 10**12 - 1), st.sampled_from(["{}", "{:012}", "COCO_val2014_{:012}.jpg", "a/b/{:012}.png"]))
def test_no_name_of_one_image_is_taken_for_another(
    tmp_path_factory: pytest.TempPathFactory, image: int, form: str
) -> None:
    row = {"image": form.format(image), "caption": ""}
    folder = tmp_path_factory.mktemp("ids")
    assert _joined(folder, row, entries=Known({str(image): "", str(image + 1): ""})) == {str(image): ""}


# The published captions in other layouts --------------------------------------------------------------------------


LAYOUTS: dict[str, Callable[[int, str], dict[str, Any]]] = {
    "LLaVA's": lambda image, caption: {
        "question_id": image % 7 + 10**9 + image,
        "image": f"COCO_val2014_{image:012}.jpg",
        "prompt": "Please describe this image in detail.",
        "text": caption,
    },
    "files of 2017": lambda image, caption: {"image_id": f"{image:012}.jpg", "text": caption},
    "lmms-eval's": lambda image, caption: {
        "doc_id": image,
        "target": "",
        "filtered_resps": [caption],
        "coco_CIDEr": {"answer": ["gold"], "pred": "", "image_id": image, "id": 0},
    },
    "padded": lambda image, caption: {"img_id": f"{image:012}", "response": caption},
}


@pytest.fixture(scope="module")
def published(conformance: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Answered, Path]:
    """OPERA's greedy captions, and the truth of their 500 images alone, from which each layout is joined at once."""
    folder, greedy = tmp_path_factory.mktemp("truth"), conformance / "chair/opera/llava-1.5/greedy.jsonl"
    whole = load_answers(greedy, conformance / "chair/ground_truth_maxlinn.json.gz")
    truth = json.loads(gzip.decompress((conformance / "chair/ground_truth_maxlinn.json.gz").read_bytes()))
    images = {sample.id: truth["images"][sample.id] for sample in whole.samples}
    write_json(folder / "truth.json", {**truth, "images": images})
    for tables in ("synonyms.json", "double_words.json"):
        shutil.copy(conformance / "chair" / tables, folder)
    captions = load_answers(greedy, folder / "truth.json")
    assert (captions.samples, captions.answers) == (whole.samples, whole.answers)
    return captions, folder / "truth.json"


@pytest.mark.parametrize("container", ["JSON lines", "a JSON list indented", "TSV", "a spreadsheet", "Parquet"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_captions_are_the_same_in_every_layout(
    published: tuple[Answered, Path], tmp_path: Path, layout: str, container: str
) -> None:
    if layout == "lmms-eval's" and container in ("TSV", "a spreadsheet"):
        pytest.skip("its rows hold objects, which no cell does")
    captions, truth = published
    rows = [
        LAYOUTS[layout](int(sample.id), answer)
        for sample, answer in zip(captions.samples, captions.answers, strict=True)
    ]
    (tmp_path / "answers").write_bytes(CONTAINERS[container](rows))
    assert load_answers(tmp_path / "answers", truth) == captions


# The command ------------------------------------------------------------------------------------------------------


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(score_app, [str(argument) for argument in arguments])


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A truth of three pictures and its tables."""
    write_json(tmp_path / "truth.json", {"categories": ["cat"], "images": {"1": [0], "2": [], "3": [0]}})
    write_json(tmp_path / "synonyms.json", {"cat": ["cat"]})
    write_json(tmp_path / "double_words.json", {})
    return tmp_path


def _score(world: Path, images: int, *options: object) -> Result:
    write_jsonl(world / "answers.jsonl", [{"image": f"{n}.jpg", "text": "A cat."} for n in range(1, images + 1)])
    truth = ("--truth", world / "truth.json", "--data", world, "--profile", "lemminflect")
    return _run("chair", "--answers", world / "answers.jsonl", *truth, *options)


def test_a_part_of_the_captions_is_scored_only_where_it_is_asked_for_and_is_told(world: Path) -> None:
    error = _score(world, 2).exception
    assert isinstance(error, DataError)
    assert str(error).endswith(
        "answers.jsonl has 2 captions of 3 images; complete the file, or ask for the captioned images only (--partial)"
    )
    score = _score(world, 2, "--partial")
    assert score.exit_code == 0
    assert "2 of 3 images of the truth have a caption" in score.stdout
    info = json.loads(_score(world, 2, "--partial", "--json").stdout)["info"]
    assert (info["captions"], info["images_of_truth"]) == (2, 3)
    assert "have a caption" not in _score(world, 3).stdout


def test_thirty_of_five_hundred_captions_are_no_benchmark(conformance: Path, tmp_path: Path) -> None:
    """The truth knows 123,287 images; the protocol captions 500 of them."""
    lines = (conformance / "chair/opera/llava-1.5/greedy.jsonl").read_text().splitlines(keepends=True)
    truth = conformance / "chair/ground_truth_maxlinn.json.gz"
    for number in (30, 499):
        (tmp_path / "answers.jsonl").write_text("".join(lines[:number]))
        with pytest.raises(DataError, match=rf"has {number} captions of 500 images; complete the file"):
            load_answers(tmp_path / "answers.jsonl", truth)
        assert load_answers(tmp_path / "answers.jsonl", truth, partial=True).info["captions"] == number
    (tmp_path / "answers.jsonl").write_text("".join(lines))
    assert load_answers(tmp_path / "answers.jsonl", truth).info["images_of_truth"] == 123287


def test_a_bad_first_line_is_told_before_truth_tables_and_nltk_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"image_id": 1')
    code = (
        "import sys\nfrom strop.commands.score import score_app\n"
        "try: score_app(standalone_mode=False)\n"
        "except Exception as error: print(error, [name for name in ('nltk', 'lemminflect') if name in sys.modules])"
    )
    for benchmark in ("chair", "ic"):
        arguments = [benchmark, "--answers", tmp_path / "answers.jsonl", "--truth", tmp_path / "no_truth.json"]
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
        )
        messages = done.stdout.strip()
        assert messages.startswith(f"{tmp_path}/answers.jsonl:1: not valid JSON")
        assert messages.endswith("[]"), "a normaliser was loaded"


def test_ic_takes_the_same_layouts(tmp_path: Path) -> None:
    pictures = {
        str(number): {"file_name": f"shelf/{number}0.jpg", "objects": ["cat"], "counts": {"cat": 1}}
        for number in (1, 2)
    }
    write_json(tmp_path / TRUTH_FILE, {"benchmark": "ic", "version": 1, "images": pictures})
    write_jsonl(
        tmp_path / "answers.jsonl", [{"image": f"{number}0.jpg", "response": f"{number} cats."} for number in (2, 1)]
    )
    answered = ic.load_answers(tmp_path / "answers.jsonl", tmp_path, ChairTables(synonyms={"cat": ["cat"]}))
    assert [(sample.id, answer) for sample, answer in zip(answered.samples, answered.answers, strict=True)] == [
        ("2", "2 cats."),
        ("1", "1 cats."),
    ]

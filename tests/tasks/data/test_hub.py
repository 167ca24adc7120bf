"""The hub's tables give the samples that the authors' files give; where they come from is asked for and pinned."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import datasets
import pytest
from PIL import Image

from harness.errors import DataError, MissingError, PictureError
from harness.pictures import open_picture
from harness.types import Sample
from tasks.data.hub import HubSource, read_hub
from tasks.data.root import DataRoot
from tasks.mathvista import questions as mathvista
from tasks.mathvista.sources import HUB as MATHVISTA_HUB
from tasks.mathvista.task import MathVista
from tasks.pope import questions as pope
from tasks.pope.sources import HUB as POPE_HUB
from tasks.pope.task import Pope
from tasks.scienceqa import questions as scienceqa
from tasks.scienceqa.sources import HUB as SCIENCEQA_HUB
from tasks.scienceqa.task import ScienceQa

TEXT = datasets.Value("string")
TEXTS = datasets.List(TEXT)
POPE = {"id": TEXT, "question_id": TEXT, "question": TEXT, "answer": TEXT, "image_source": TEXT,
        "image": datasets.Image(), "category": TEXT}  # fmt: skip
SCIENCEQA = {"image": datasets.Image(), "question": TEXT, "choices": TEXTS, "answer": datasets.Value("int8"),
             "hint": TEXT, "task": TEXT, "grade": TEXT, "subject": TEXT, "topic": TEXT, "lecture": TEXT}  # fmt: skip
METADATA = {"category": TEXT, "context": TEXT, "grade": TEXT, "language": TEXT, "skills": TEXTS, "source": TEXT,
            "split": TEXT, "task": TEXT, "img_height": datasets.Value("int64")}  # fmt: skip
MATHVISTA = {"pid": TEXT, "question": TEXT, "image": TEXT, "decoded_image": datasets.Image(), "choices": TEXTS,
             "unit": TEXT, "precision": datasets.Value("float64"), "answer": TEXT, "question_type": TEXT,
             "answer_type": TEXT, "metadata": METADATA, "query": TEXT}  # fmt: skip


def _png(colour: str, cut: int | None = None) -> dict[str, Any]:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(content, "PNG")
    return {"bytes": content.getvalue()[:cut], "path": None}


def _problem(image: dict[str, Any] | None, **changed: Any) -> dict[str, Any]:
    problem = {"question": "Which?", "choices": ["a", "b"], "answer": 1, "hint": "", "task": "closed choice",
               "grade": "grade7", "subject": "natural science", "topic": "physics", "lecture": ""}  # fmt: skip
    return {**problem, "image": image, **changed}


def _question(pid: str, **changed: Any) -> dict[str, Any]:
    metadata = {"category": "general-vqa", "context": "table", "grade": "not applicable", "language": "english",
                "skills": ["arithmetic reasoning"], "source": "IconQA", "split": "testmini", "task": "figure question",
                "img_height": 30}  # fmt: skip
    question = {"question": "How many?", "image": f"images/{pid}.jpg", "choices": None, "unit": None, "answer": "1.2",
                "precision": 1.0, "question_type": "free_form", "answer_type": "float", "metadata": metadata,
                "query": f"Hint: a number.\nQuestion: How many? ({pid})"}  # fmt: skip
    return {**question, "pid": pid, **changed}


ASKED = [
    ("COCO_val2014_000000000001", "cat", "yes", "random", "white"),
    ("COCO_val2014_000000000002", "dog", "no", "random", "black"),
    ("COCO_val2014_000000000001", "fire hydrant", "no", "popular", "white"),
    ("COCO_val2014_000000000002", "cup", "yes", "popular", "black"),
]
POPE_ROWS = [
    {"id": str(n), "question_id": str(n), "question": f"Is there a {name} in the image?", "answer": answer,
     "image_source": image, "image": _png(colour), "category": group}
    for n, (image, name, answer, group, colour) in enumerate(ASKED)
]  # fmt: skip
SCIENCEQA_ROWS = [_problem(_png("red")), _problem(None, answer=0, hint="Read this.", grade="grade2")]
MATHVISTA_ROWS = [
    _question("1", decoded_image=_png("red")),
    _question("2", decoded_image=_png("blue"), question_type="multi_choice", answer_type="text", choices=["one", "two"],
              answer="two", precision=None),
]  # fmt: skip

SMALL_POPE = Pope(rows={"random": (2,), "popular": (2,)})
SMALL_SCIENCEQA = ScienceQa(size=scienceqa.Size(questions=2, with_image=1))
SMALL_MATHVISTA = MathVista(size=mathvista.Size(questions=2, multi_choice=1))
"""The tasks at the size of the copies."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of copies of the hub's repositories, two or four rows each."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    _write(tmp_path / "mirror", POPE_HUB, POPE_ROWS, POPE)
    _write(tmp_path / "mirror", SCIENCEQA_HUB, SCIENCEQA_ROWS, SCIENCEQA)
    _write(tmp_path / "mirror", MATHVISTA_HUB, MATHVISTA_ROWS, MATHVISTA)
    return tmp_path / "mirror"


HubTask = TypeVar("HubTask", Pope, ScienceQa, MathVista)


def _of(mirror: Path, task: HubTask) -> HubTask:
    return replace(task, data_root=DataRoot(folder=mirror.parent / "data", hub=mirror))


def _write(mirror: Path, source: HubSource, rows: Sequence[Mapping[str, Any]], features: Mapping[str, Any]) -> None:
    file = mirror / source.id / source.files.replace("*", "00000-of-00001-abc")
    file.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(list(rows), features=datasets.Features(features)).to_parquet(file)
    # the card counts all splits, and of some repositories wrongly
    card = "---\ndataset_info:\n  splits:\n  - name: train\n    num_bytes: 1\n    num_examples: 7\n---\n"
    (mirror / source.id / "README.md").write_text(card)


def _colour(sample: Sample) -> object:
    (picture,) = sample.images
    return open_picture(picture).getpixel((0, 0))


def test_scienceqas_pool_is_the_hubs_split_train_without_what_the_test_split_shows(mirror: Path) -> None:
    other = _problem({"bytes": _chequered(), "path": None})
    train = replace(SCIENCEQA_HUB, files="data/train-*.parquet")
    rows = [*SCIENCEQA_ROWS, other, _problem(None, hint="Read that.")]
    _write(mirror, train, rows, SCIENCEQA)
    task = _of(mirror, SMALL_SCIENCEQA)
    pool = task.pool()
    assert [(sample.id, len(sample.images)) for sample in pool] == [("train-row-2", 1), ("train-row-3", 0)]
    assert open_picture(*pool[0].images).size == (8, 8)
    assert [sample.id for sample in task.samples("test")] == ["row-0", "row-1"]


def _chequered() -> bytes:
    content = io.BytesIO()
    Image.effect_noise((8, 8), 90).save(content, "PNG")
    return content.getvalue()


def test_popes_table_gives_what_its_label_files_give(mirror: Path, tmp_path: Path) -> None:
    samples = _of(mirror, SMALL_POPE).samples("test")
    assert [sample.id for sample in samples] == [
        "random/COCO_val2014_000000000001/cat",
        "popular/COCO_val2014_000000000001/fire-hydrant",
        "random/COCO_val2014_000000000002/dog",
        "popular/COCO_val2014_000000000002/cup",
    ]
    assert [sample.images for sample in samples[:2]] == [samples[0].images] * 2
    assert [_colour(sample) for sample in samples[1:3]] == [(255, 255, 255), (0, 0, 0)]
    (tmp_path / "labels").mkdir()
    for group in SMALL_POPE.rows:
        rows = [{"image": f"{image}.jpg", "text": f"Is there a {name} in the image?", "label": label}
                for image, name, label, category, _ in ASKED if category == group]  # fmt: skip
        (tmp_path / f"labels/coco_pope_{group}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    theirs = pope.load_questions(tmp_path / "labels", SMALL_POPE.rows)
    assert [(sample.id, sample.prompt, sample.target, sample.cluster, sample.meta) for sample in samples] == [
        (their.id, their.prompt, their.target, their.cluster, their.meta) for their in theirs
    ]
    assert _of(mirror, SMALL_POPE).details(samples).info["questions"] == "lmms-lab/POPE@4db12766"


def test_scienceqas_table_gives_what_problems_json_gives(mirror: Path, tmp_path: Path) -> None:
    samples = _of(mirror, SMALL_SCIENCEQA).samples("test")
    problems = {
        f"row-{n}": {**row, "image": "image.png" if row["image"] else None, "split": "test"}
        for n, row in enumerate(SCIENCEQA_ROWS)
    }
    (tmp_path / "problems.json").write_text(json.dumps(problems))
    theirs = scienceqa.load_questions(tmp_path / "problems.json", size=SMALL_SCIENCEQA.size)
    assert [(sample.prompt, sample.target) for sample in samples] == [
        (their.prompt, their.target) for their in theirs.values()
    ]
    assert [len(sample.images) for sample in samples] == [1, 0]
    assert _colour(samples[0]) == (255, 0, 0)
    assert "grade/1-6/accuracy" in {metric.name for metric in _of(mirror, SMALL_SCIENCEQA).details(samples).metrics}


def test_mathvistas_table_gives_what_testmini_gives(mirror: Path, tmp_path: Path) -> None:
    samples = _of(mirror, SMALL_MATHVISTA).samples("test")
    rows = {row["pid"]: {**row, "precision": row["precision"] and 1} for row in MATHVISTA_ROWS}
    plain = {pid: {k: v for k, v in row.items() if k != "decoded_image"} for pid, row in rows.items()}
    (tmp_path / "testmini.json").write_text(json.dumps(plain))
    theirs = mathvista.load_questions(tmp_path / "testmini.json", SMALL_MATHVISTA.size)
    assert [(sample.id, sample.prompt, sample.target) for sample in samples] == [
        (their.id, their.prompt, their.target) for their in theirs.values()
    ]
    assert [_colour(sample) for sample in samples] == [(255, 0, 0), (0, 0, 255)]


def test_another_number_of_rows_is_refused(mirror: Path) -> None:
    with pytest.raises(DataError, match="lmms-lab/POPE@4db12766 has 2 rows, but POPE's random questions are 3000"):
        _of(mirror, Pope(rows={"random": (3000,), "popular": (2,)})).samples("test")
    with pytest.raises(DataError, match="ScienceQA@f18b0a70 gives 2 questions, 1 of them with a picture"):
        _of(mirror, ScienceQa()).samples("test")
    with pytest.raises(DataError, match="MathVista@2b6ad694 holds 2 questions, 1 of them with options"):
        _of(mirror, MathVista()).samples("test")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"answer": "perhaps"}, "row 0: field 'label' must be one of yes, no"),
        ({"category": "rare"}, "row 0: field 'category' must be one of random, popular"),
        ({"question": None}, "row 0: field 'question' must be a string, found null"),
        ({"image": None}, "row 0: the row has no picture"),
    ],
)
def test_a_malformed_row_is_named(mirror: Path, changed: dict[str, Any], message: str) -> None:
    _write(mirror, POPE_HUB, [{**POPE_ROWS[0], **changed}, *POPE_ROWS[1:]], POPE)
    with pytest.raises(DataError, match=f"lmms-lab/POPE@4db12766: {message}"):
        _of(mirror, SMALL_POPE).samples("test")


def test_a_column_that_is_missing_is_named(mirror: Path) -> None:
    features = {name: kind for name, kind in POPE.items() if name != "category"}
    _write(mirror, POPE_HUB, [{name: row[name] for name in features} for row in POPE_ROWS], features)
    with pytest.raises(DataError, match="has no column category; found id, question_id"):
        _of(mirror, SMALL_POPE).samples("test")


def test_a_picture_that_is_cut_off_is_named_by_its_row(mirror: Path) -> None:
    _write(mirror, SCIENCEQA_HUB, [_problem(_png("red", cut=60)), SCIENCEQA_ROWS[1]], SCIENCEQA)
    sample, _ = _of(mirror, SMALL_SCIENCEQA).samples("test")
    with pytest.raises(PictureError, match="ScienceQA@f18b0a70: row 0: does not open as a picture"):
        open_picture(sample.images[0])


def test_a_repository_that_is_not_in_the_folder_is_named(mirror: Path) -> None:
    with pytest.raises(MissingError, match=r"no/lmms-lab/POPE/data/test-\*\.parquet: no such file; STROP_HUB names"):
        _of(mirror / "no", SMALL_POPE).samples("test")


@pytest.mark.parametrize("source", [POPE_HUB, SCIENCEQA_HUB, MATHVISTA_HUB])
def test_the_hub_is_asked_for_the_pinned_revision_and_the_files_of_the_split_only(
    monkeypatch: pytest.MonkeyPatch, source: HubSource
) -> None:
    fields: dict[str, Any] = {}

    def load_dataset(path: str, **arguments: Any) -> None:
        fields.update(arguments, path=path)
        raise ConnectionError("Couldn't reach the Hub\nwith a second line")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(
        MissingError, match=r"cannot be read from the hub \(Couldn't reach the Hub\); without STROP_HUB"
    ):
        read_hub(source, DataRoot(hub=True))
    assert fields == {"path": source.id, "revision": source.revision, "data_files": {"test": source.files},
                     "split": "test", "verification_mode": "no_checks"}  # fmt: skip
    assert len(source.revision) == 40


@pytest.mark.parametrize("value", ["", "0"])
def test_without_being_asked_for_the_hub_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", None)
    root = DataRoot.from_environment({"STROP_DATA": str(tmp_path), "STROP_HUB": value})
    for task in (Pope(data_root=root), ScienceQa(data_root=root), MathVista(data_root=root)):
        with pytest.raises(MissingError, match=r"or set STROP_HUB=1 to read [\w/-]+@\w{8} from the hub"):
            task.samples("test")

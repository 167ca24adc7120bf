"""POPE asks what its authors ask, of the data folder, and every fault of its data is one line."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.engine import evaluate
from harness.errors import DataError, MissingError, PictureError
from harness.results import mark
from harness.stats import estimate
from harness.types import Advance, Sample, Sampling
from tasks.data.root import DataRoot
from tasks.pope import questions as pope
from tasks.pope.answers import load_answers as load_pope_answers
from tasks.pope.task import Pope
from tests.support.answering import answered
from tests.support.scripted import Scripted
from tests.support.shell import Strop

LABEL = {"question_id": 1, "image": "a.jpg", "text": "Is there a cat in the image?", "label": "yes"}


def test_pope_asks_image_by_image_in_llavas_words(data: Path, root: DataRoot) -> None:
    samples = Pope(data_root=root).samples("test")
    assert [len(list(group)) for _, group in itertools.groupby(samples, lambda item: item.images)] == [18] * 500
    assert Counter((sample.meta["group"], sample.target) for sample in samples) == dict.fromkeys(
        itertools.product(pope.ROWS, ("yes", "no")), 1500
    )
    assert samples[0] == Sample(
        id="random/COCO_val2014_000000310196/snowboard",
        prompt="Is there a snowboard in the image?\nAnswer the question using a single word or phrase.",
        images=(data / "pope/val2014/COCO_val2014_000000310196.jpg",),
        target="yes",
        cluster="COCO_val2014_000000310196.jpg",
        meta={"group": "random", "object": "snowboard", "image": "COCO_val2014_000000310196.jpg"},
    )


def test_asked_questions_with_published_answers_give_the_published_figures(
    data: Path, root: DataRoot, conformance: Path
) -> None:
    """LLaVA's answers to the older edition, found by what was asked of which image."""
    shutil.rmtree(data / "pope")
    shutil.copytree(conformance / "pope/labels_2910", data / "pope/labels_2910")
    (data / "pope/val2014").mkdir()
    folder = conformance / "pope"
    published = load_pope_answers(
        folder / "answers/llava-v1.5-13b.jsonl", folder / "llava_pope_test.jsonl", folder / "labels_2910"
    )
    text = {
        (sample.meta["group"], sample.meta["image"], sample.meta["object"]): (sample, answer)
        for sample, answer in zip(published.samples, published.answers, strict=True)
    }
    task, rows = Pope(data_root=root), []
    for sample in task.samples("test"):
        questions, answer = text[sample.meta["group"], sample.meta["image"], sample.meta["object"]]
        assert (sample.prompt, sample.target) == (questions.prompt, questions.target)
        rows.append(mark(sample, answer, task.score(sample, answer)))
    assert len(rows) == 8910
    figures = estimate(rows, task.metrics, draws=1)
    f1 = [round(figures[f"{group}/f1"].value or 0, 5) for group in ("adversarial", "popular", "random")]
    assert f1 == [0.84459, 0.86246, 0.87136]


def test_one_pass_is_read_under_every_profile(data: Path, root: DataRoot) -> None:
    answers = ("Yes", "No.", "", "Maybe")
    order = itertools.count()
    texts: dict[str, str] = {}
    result = answered(lambda item: texts.setdefault(item.prompt, answers[next(order) % 4]), Pope(data_root=root), 18)
    samples = Pope(data_root=root).samples("test")[:18]
    assert result.profile == "official"
    assert {row.parsed for row in result.rows} <= {"yes", "no"}
    strict = [
        Pope(profile="strict", data_root=root).score(sample, row.answer)
        for sample, row in zip(samples, result.rows, strict=True)
    ]
    lost = sum(score.parsed is None for score in strict)
    assert result.info["unread_by_profile"]["official"] == 0
    assert result.info["unread_by_profile"]["strict"] == lost > 0
    assert result.info["read_differently"] >= lost
    assert (result.info["questions"], sum(result.info["rows"].values())) == ("data folder", 18)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{k: v for k, v in LABEL.items() if k != "label"}], r"random\.json:1: field 'label' is missing"),
        ([{**LABEL, "label": "maybe"}], r"random\.json:1: field 'label' must be one of yes, no, found \"maybe\""),
        ([{**LABEL, "image": 7}], r"random\.json:1: field 'image' must be a string, found 7"),
        ([{**LABEL, "text": "Who?"}], r"random\.json:1: field 'text' must be a question"),
        ([LABEL, LABEL], r"ask twice for the same object in the same image: random/a/cat; keep one"),
        ([LABEL], r"coco_pope_random\.json has 1 row, but POPE's random questions are 2; get coco_pope_random\.json"),
    ],
)
def test_malformed_questions_of_pope_are_one_line(
    tmp_path: Path, rows: Sequence[dict[str, object]], message: str
) -> None:
    (tmp_path / "coco_pope_random.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=message) as caught:
        pope.load_questions(tmp_path, {"random": (2,)})
    assert "\n" not in str(caught.value)


def test_a_folder_of_pictures_that_is_missing_is_named(data: Path, root: DataRoot) -> None:
    shutil.rmtree(data / "pope/val2014")
    with pytest.raises(
        MissingError, match=r"pope/val2014: no such folder of pictures; unpack val2014\.zip into .*/pope"
    ):
        Pope(data_root=root).samples("test")


@pytest.mark.parametrize(("cut", "message"), [(None, "no such picture"), (5_000, "does not open as a picture")])
def test_a_bad_picture_is_named_before_the_model_is_asked(
    data: Path, root: DataRoot, cut: int | None, message: str
) -> None:
    picture = data / "pope/val2014/COCO_val2014_000000310196.jpg"
    content = picture.read_bytes()
    picture.unlink()
    if cut:
        picture.write_bytes(content[:cut])
    model = Scripted(lambda _: "Yes")

    def ask(samples: Sequence[Sample], sampling: Sampling, advance: Advance | None = None) -> list[list[str]]:
        raise AssertionError("asked")

    model.generate = ask  # type: ignore[method-assign]
    with pytest.raises(PictureError, match=rf"310196\.jpg: {message}"):
        evaluate(model, [Pope(data_root=root)], split="test", limit=18)


def test_strop_eval_asks_pope_and_tells_what_each_profile_leaves_unread(data: Path, strop: Strop, tiny: Path) -> None:
    words = ("eval", "--model", tiny, "--device", "cpu", "--tasks", "pope", "--limit", 18, "--out", "out")
    text = " ".join(strop(*words, "--data", data).out.split())
    assert "pope, profile official, split test" in text
    assert "unread of 18 answers: 0 by official," in text
    assert (
        strop("rescore", "out", "--data", data, "--profile", "strct").error().startswith("pope has no profile 'strct'")
    )
    again = json.loads(strop("rescore", "out", "--data", data, "--json").out)
    assert [item["profile"] for item in again] == ["official", "lmms-eval", "vlmeval", "strict"]
    assert len({item["info"]["read_differently"] for item in again}) == 1
    missing = strop(*words[:-4], "--limit", 19, "--out", "other", "--data", data).error()
    assert missing.endswith("COCO_val2014_000000210789.jpg: no such picture")

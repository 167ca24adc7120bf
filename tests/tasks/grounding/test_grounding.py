"""A box is read where one is named and marked by the pixels it shares with the gold one; COCO's boxes are asked for."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from harness.errors import DataError, MissingError, UsageError
from harness.files import write_json, write_jsonl
from harness.results import mark
from harness.stats import estimate
from harness.types import Sample
from strop.app import app
from tasks.data.annotations import AloneInstance, Box, box_overlap, read_alone
from tasks.data.root import DataRoot
from tasks.grounding.marks import GROUNDING_METRICS, score_framed, score_grounding
from tasks.grounding.questions import LEAST, choose
from tasks.grounding.readers import PROFILES, box_text, fractions_text, read_box, resized_for_qwen
from tasks.grounding.task import Grounding
from tasks.pictos import coco
from tasks.pictos.world import SIDE, compose, draw, seeds_of

PIXELS = st.integers(0, 24)
BOXES = st.tuples(PIXELS, PIXELS, st.integers(1, 24), st.integers(1, 24))
EDGES = st.floats(0, 5_000)
SIDES = st.floats(0.5, 5_000)


@pytest.mark.parametrize(
    ("answer", "box"),
    [
        ("[2, 3, 12, 8]", (2, 3, 10, 5)),
        ("The cat lies at [2, 3, 12, 8].", (2, 3, 10, 5)),
        ("(2 3 12 8)", (2, 3, 10, 5)),
        ('{"bbox": [[2.5,3,12.5,8]]}', (2.5, 3, 10, 5)),
        ("[-2, -3, 8, 2e1]", (-2, -3, 10, 23)),
        ("[2, 3, 12, 8], that is (2.0, 3.0, 12.0, 8.0)", (2, 3, 10, 5)),
        ("[0, 0, 1, 1.5]", (0, 0, 1, 1.5)),
    ],
)
def test_a_box_in_brackets_is_read(answer: str, box: Box) -> None:
    assert read_box(answer) == box


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "On the left.",
        "2, 3, 12, 8",
        "[2, 3, 12]",
        "[2, 3, 12, 8, 9]",
        "[2, 3, 12, 8px]",
        "[2, 3, 12, 8)",
        "[2, 3, 12, 8] or [2, 3, 12, 9]",
        "[12, 3, 2, 8]",
        "[2, 3, 2, 8]",
        "[2, 3, 1e999, 8]",
        "[0, 0, 1e300, 1e300]",
    ],
)
def test_what_names_no_box_or_two_is_unread(answer: str) -> None:
    score = score_grounding((2.0, 3.0, 10.0, 5.0), answer)
    assert (score.value, score.parsed, score.counts["unread"]) == (0.0, None, 1)


def test_fractions_are_read_where_the_task_has_a_size_and_only_there() -> None:
    answer = "[0.25, 0.5, 0.75, 1]"
    assert read_box(answer) is None
    assert read_box(answer, size=(64, 32)) == (16, 16, 32, 16)
    assert read_box("[0, 0, 1, 1]", size=(64, 32)) == (0, 0, 64, 32)


@pytest.mark.parametrize(
    "answer", ["[2, 3, 12, 8]", "[250, 500, 750, 1000]", "[0.25, 0.5, 0.75, 1.01]", "[-0.1, 0, 1, 1]"]
)
def test_a_box_on_another_scale_than_fractions_is_unread_and_not_wrong(answer: str) -> None:
    for profile in ("strict", "llava", "crop"):
        score = score_framed((16.0, 16.0, 32.0, 16.0), answer, (64, 32), profile)
        assert (score.parsed, score.counts["unread"]) == (None, 1)


def _pixels(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
    x, y, width, height = box
    return set(itertools.product(range(x, x + width), range(y, y + height)))


@given(BOXES, BOXES)
def test_overlap_is_pixels_in_both_by_pixels_in_either(
    box: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    shared, either = _pixels(box) & _pixels(other), _pixels(box) | _pixels(other)
    assert box_overlap(box, other) == len(shared) / len(either)


@given(EDGES, EDGES, SIDES, SIDES)
def test_the_gold_box_as_text_earns_full_marks(x: float, y: float, width: float, height: float) -> None:
    # a box within the first pixel is none in pixels
    box = (x, y, width + 1, height + 1)
    assert score_grounding(box, box_text(box)).value == 1.0


@given(st.text() | st.lists(st.floats() | st.integers(), min_size=4, max_size=4).map(str), BOXES)
def test_any_answer_has_a_mark_and_is_counted_once(answer: str, box: tuple[int, int, int, int]) -> None:
    score = score_grounding(box, answer)
    assert 0.0 <= score.value <= 1.0
    assert score.counts["asked"] == 1
    assert score.counts["unread"] == (score.parsed is None)
    assert score.counts["right"] == (score.value >= 0.5)


def test_whole_numbers_are_written_without_a_point() -> None:
    assert box_text((2.0, 3.0, 10.0, 5.5)) == "[2, 3, 12, 8.5]"


def test_the_mean_overlap_the_share_from_a_half_on_and_the_unread_are_told() -> None:
    gold = (0.0, 0.0, 10.0, 10.0)
    answers = ["[0, 0, 10, 10]", "[0, 0, 10, 5]", "[0, 0, 10, 4]", "nowhere"]
    rows = [
        mark(Sample(id=text, prompt="", images=(), target=gold, cluster=text), text, score_grounding(gold, text))
        for text in answers
    ]
    result = {name: value.value for name, value in estimate(rows, GROUNDING_METRICS, draws=1).items()}
    assert result == {"IoU": pytest.approx(1.9 / 4), "accuracy@0.5": 0.5, "unread": 0.25}


# What is asked of COCO ------------------------------------------------------------------------------------------------

ROW: Mapping[str, Any] = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 10, 20, 20], "iscrowd": 0}


def _annotated(folder: Path, *rows: Mapping[str, Any], **image: Any) -> Path:
    """One picture of 100 x 50 pixels; each row changes `ROW`."""
    document = {
        "images": [{"id": 7, "file_name": "7.jpg", "width": 100, "height": 50, **image}],
        "annotations": [{**ROW, "id": number, **row} for number, row in enumerate(rows, start=1)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "fire hydrant"}],
    }
    path = folder / "annotations/instances_val2014.json"
    write_json(path, document)
    (folder / "val2014").mkdir(exist_ok=True)
    return path


def _alone(path: Path) -> list[str]:
    return [item.category for item in read_alone(path)]


def test_what_is_there_once_and_is_no_crowd_is_alone(tmp_path: Path) -> None:
    assert _alone(_annotated(tmp_path, {}, {"category_id": 2})) == ["cat", "fire hydrant"]
    assert _alone(_annotated(tmp_path, {}, {}, {"category_id": 2})) == ["fire hydrant"]
    assert _alone(_annotated(tmp_path, {"iscrowd": 1}, {"category_id": 2})) == ["fire hydrant"]
    assert _alone(_annotated(tmp_path, {"iscrowd": 1}, {})) == []


@pytest.mark.parametrize(
    ("row", "image", "complaint"),
    [
        ({"bbox": [1, 2, 3]}, {}, r"annotation 1: field 'bbox' must be four numbers"),
        ({"bbox": [1, 2, -3, 4]}, {}, r"annotation 1: field 'bbox' must be four numbers"),
        ({"bbox": [1, 2, float("nan"), 4]}, {}, r"annotation 1: field 'bbox' must be four numbers"),
        ({"iscrowd": "no"}, {}, r"annotation 1: field 'iscrowd' must be 0 or 1"),
        ({"category_id": 5}, {}, r"annotation 1 is of category 5, which is not under 'categories'"),
        ({}, {"width": 0}, r"image 7: field 'width' must be a number of pixels"),
        ({}, {"height": None}, r"image 7: field 'height' must be an integer"),
    ],
)
def test_an_annotation_that_says_no_box_is_named(
    tmp_path: Path, row: dict[str, Any], image: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        read_alone(_annotated(tmp_path, row, **image))


INSTANCES = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("abcd"), st.sampled_from([5.0, 9.99, 10.0, 50.0])),
    unique_by=lambda item: item[:2],
    max_size=60,
).map(
    lambda several: [
        AloneInstance(image=str(n), file_name="", size=(100, 100), category=name, box=(0.0, 0.0, side, 10.0))
        for n, name, side in several
    ]
)


@given(INSTANCES, st.integers(1, 70), st.integers(0, 9))
def test_any_instances_give_a_choice_that_is_balanced_from_its_first_on(
    alone: list[AloneInstance], count: int, seed: int
) -> None:
    large = Counter(item.category for item in alone if item.box[2] >= 10)
    chosen = choose(alone, count, np.random.default_rng(seed))
    assert len(chosen) == min(count, large.total())
    assert {item.category for item in chosen if item.box[2] < 10} == set()
    assert len(set(chosen)) == len(chosen)
    counted = Counter(item.category for item in chosen)
    most = max(counted.values(), default=0)
    assert all(counted[name] >= min(most - 1, value) for name, value in large.items())
    random.Random(seed).shuffle(alone)
    assert choose(alone, count, np.random.default_rng(seed)) == chosen, "the order of annotations is none"
    assert choose(alone, count + 5, np.random.default_rng(seed))[: len(chosen)] == chosen


WITHIN = st.tuples(st.floats(0, 0.8), st.floats(0, 0.8), st.floats(0.05, 1), st.floats(0.05, 1))


@given(WITHIN, st.tuples(st.integers(30, 2_000), st.integers(30, 2_000)))
def test_the_gold_box_in_fractions_earns_full_marks(share: Box, size: tuple[int, int]) -> None:
    left, top = share[0] * size[0], share[1] * size[1]
    box = (left, top, min(share[2] * size[0], size[0] - left), min(share[3] * size[1], size[1] - top))
    assert score_framed(box, fractions_text(box, size), size).value == 1.0


def test_llavas_fractions_are_of_the_padded_square() -> None:
    size, box = (640, 480), (64.0, 48.0, 320.0, 240.0)
    in_square = "[0.1, 0.2, 0.6, 0.575]"  # 80 pixels are added above
    assert score_framed(box, in_square, size, "llava").value == 1.0
    assert score_framed(box, in_square, size).value < 0.8
    tall = "[0.2, 0.1, 0.575, 0.6]"
    assert score_framed((48.0, 64.0, 240.0, 320.0), tall, (480, 640), "llava").value == 1.0
    with pytest.raises(
        UsageError, match=r"grounding has no profile 'qwen'; it has strict, llava, crop, pixels, qwen2\.5-vl, t"
    ):
        score_framed(box, in_square, size, "qwen")


@pytest.mark.parametrize(
    ("profile", "answer"),
    [
        ("strict", "[0.2, 0.25, 0.5, 0.75]"),
        ("llava", "[0.2, 0.3125, 0.5, 0.6875]"),  # 80 pixels above 480 of 640
        ("crop", "[0.1, 0.25, 0.5, 0.75]"),  # 80 pixels left of the middle 480
    ],
)
def test_a_box_in_any_frame_is_read_in_the_pictures_own_pixels(profile: str, answer: str) -> None:
    score = score_framed((128.0, 120.0, 192.0, 240.0), answer, (640, 480), profile)
    assert score.parsed == pytest.approx((128, 120, 192, 240))
    assert score.value == 1.0


def test_what_a_crop_cuts_off_no_box_in_its_frame_can_hold() -> None:
    edge = (0.0, 120.0, 60.0, 240.0)
    assert score_framed(edge, "[0, 0.3125, 0.09375, 0.6875]", (640, 480), "llava").value == 1.0
    assert score_framed(edge, "[0, 0, 1, 1]", (640, 480), "crop").value == 0.0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path


def _task(data: Path) -> Grounding:
    return Grounding(data_root=DataRoot(folder=data))


def test_one_question_says_where_it_comes_from_and_in_what_it_is_answered(data: Path) -> None:
    _annotated(data / "grounding", {}, {"category_id": 2, "bbox": [90.01, 0, 10, 50.01]}, {"bbox": [0, 0, 1, 1]})
    (sample,) = _task(data).samples("test")
    assert sample == Sample(
        id="7/fire-hydrant",
        prompt="Provide the bounding box of the fire hydrant.\n"
        "Answer with [x1, y1, x2, y2] in fractions of the image's width and height.",
        images=(data / "grounding/val2014/7.jpg",),
        target=(90.01, 0.0, pytest.approx(9.99), 50.0),
        cluster="7",
        meta={"object": "fire hydrant", "size": (100, 50), "file_name": "7.jpg"},
    )
    assert _task(data).score(sample, _task(data).gold(sample)).value == 1.0
    info = _task(data).details([sample]).info
    assert (info["categories"], info["whole_picture_IoU"]) == (1, pytest.approx(0.0999))


def test_annotations_without_a_thing_to_ask_for_are_named(data: Path) -> None:
    _annotated(data / "grounding", {}, {})
    with pytest.raises(
        DataError, match=r"instances_val2014\.json: no instance is the only one .* covers 1% of it; name"
    ):
        _task(data).samples("test")


def test_another_part_of_coco_is_asked_with_its_own_pictures(data: Path) -> None:
    _annotated(data / "grounding", {}).rename(data / "grounding/annotations/instances_val2017.json")
    with pytest.raises(MissingError, match=r"grounding/val2017: .*; looked for in grounding/val2017, pope/val2017, ch"):
        _task(data).samples("test")
    (data / "pope/val2017").mkdir(parents=True)
    (sample,) = _task(data).samples("test")
    assert sample.images == (data / "pope/val2017/7.jpg",)
    assert _task(data).details([sample]).info["annotations"] == "instances_val2017.json"


def test_two_files_of_instances_leave_the_choice_to_the_user(data: Path) -> None:
    path = _annotated(data / "grounding", {})
    for name in ("train2014", "train2017"):
        path = path.rename(path.with_name(f"instances_{name}.json"))
        (path.with_name("instances_train2014.json")).write_bytes(path.read_bytes())
    with pytest.raises(
        DataError, match=r"finds .*/instances_train2014\.json, .*train2017\.json; name one, or keep one there"
    ):
        _task(data).samples("test")


def test_missing_annotations_are_told_by_the_file_to_get(data: Path) -> None:
    with pytest.raises(MissingError, match=r"instances_val2014\.json: no such file; .*; it is never read from the hub"):
        Grounding(data_root=DataRoot(folder=data, hub=True)).samples("test")


def test_pictos_in_cocos_format_keeps_every_promise(data: Path) -> None:
    """COCO's annotations may lie where CHAIR has them, its pictures where POPE has them."""
    scenes = [compose(seed) for seed in seeds_of("test", 30)]
    write_json(data / "chair/annotations/instances_val2014.json", coco.instances(scenes))
    (data / "pope/val2014").mkdir(parents=True)
    for scene in scenes:
        draw(scene).save(data / f"pope/val2014/{scene.id}.png")
    ran = CliRunner().invoke(app, ["check", "grounding", "--data", str(data), "--json"])
    grounding = json.loads(ran.stdout)["tasks"]["grounding"]
    once = [
        (scene.seed, thing) for scene in scenes for thing in scene.things if scene.counts()[thing.category.name] == 1
    ]
    total = sum(thing.box[2] * thing.box[3] >= LEAST * SIDE**2 for _, thing in once)
    assert (ran.exit_code, grounding["failures"], grounding["checked"]["gold"]) == (0, [], total)
    assert total > 50
    for sample in _task(data).samples("test"):
        (box,) = (thing.box for seed, thing in once if f"{seed}/{thing.category.name.replace(' ', '-')}" == sample.id)
        assert sample.target == box


# Answers that somebody else made --------------------------------------------------------------------------------------


def _strop(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_questions_are_written_and_the_answers_to_them_scored_under_every_profile(tmp_path: Path) -> None:
    truth = _annotated(tmp_path, {}, {"category_id": 2, "bbox": [50, 10, 20, 20]}).parent
    assert "2 questions on instances_val2014.json" in _strop(
        *("data", "build", "grounding", "--coco", truth, "--out", tmp_path / "questions.jsonl")
    ).stdout.replace("\n", " ")
    questions = [json.loads(line) for line in (tmp_path / "questions.jsonl").read_text().splitlines()]
    assert [(row["question_id"], row["image"]) for row in sorted(questions, key=str)] == [
        ("7/cat", "7.jpg"),
        ("7/fire-hydrant", "7.jpg"),
    ]
    assert all(row["text"].startswith("Provide the bounding box of the ") for row in questions)
    answers = tmp_path / "answers.jsonl"
    # of the 100 x 50 picture, and of the square of 100 that 25 pixels above and below it make
    answer = {"7/cat": "[0.1, 0.2, 0.3, 0.6]", "7/fire-hydrant": "[0.5, 0.35, 0.7, 0.55]"}
    write_jsonl(answers, ({"question_id": name, "text": text} for name, text in answer.items()))
    words = ("score", "grounding", "--answers", answers, "--truth", truth, "--json")
    strict, llava, *others = json.loads(_strop(*words, "--profile", "all").stdout)
    assert [item["metrics"]["IoU"]["value"] for item in (strict, llava)] == [0.75, 0.75]
    assert tuple(item["profile"] for item in (strict, llava, *others)) == PROFILES
    assert strict["info"]["truth"] == "instances_val2014.json"
    # left, top, width, height in pixels, as a box that is read
    assert [row["gold"] for row in strict["info"]["disagreements"]] == [[10, 10, 20, 20], [50, 10, 20, 20]]
    write_jsonl(answers, [{"question_id": "7/cat", "text": "[100, 200, 300, 600]"}])
    error = _strop(*words).exception
    assert isinstance(error, DataError)
    assert "has no answer to 1 question: 7/fire-hydrant" in str(error)
    content = json.loads(_strop(*words, "--partial").stdout)
    assert (content["metrics"]["unread"]["value"], content["info"]["unanswered"]) == (1.0, ["7/fire-hydrant"])


def test_a_truth_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = _strop("score", "grounding", "--answers", "a.jsonl", "--truth", tmp_path).exception
    assert str(error) == f"{tmp_path}/instances_val2014.json: no such file; name COCO's instances or their folder"


# Other scales ---------------------------------------------------------------------------------------------------------

SHOWN = (640, 480)
GOLD = (64.0, 48.0, 320.0, 240.0)  # edges 64, 48, 384, 288


@pytest.mark.reported("boxes")
@pytest.mark.parametrize(
    ("profile", "answer"),
    [
        ("pixels", "[64, 48, 384, 288]"),
        ("pixels", "(64,48),(384,288)"),
        ("pixels", '```json\n[{"bbox_2d": [64, 48, 384, 288], "label": "cat"}]\n```'),
        ("pixels", "[[64, 48], [384, 288]]"),
        ("thousandths", "[100, 100, 600, 600]"),
        ("thousandths", "<|box_start|>(100,100),(600,600)<|box_end|>"),
        ("thousandths", "<ref>the cat</ref><box>[[100, 100, 600, 600]]</box>"),
        ("thousandths", "<ref>the cat</ref><box>(100,100),(600,600)</box>"),
        ("qwen2.5-vl", '{"bbox_2d": [64.4, 47.6, 386.4, 285.6]}'),  # of 644 x 476
        ("strict", "(0.1, 0.1), (0.6, 0.6)"),
        ("strict", "[0.1, 0.1, 0.6, 0.6]"),
    ],
)
def test_a_box_is_read_on_the_scale_of_its_profile(profile: str, answer: str) -> None:
    score = score_framed(GOLD, answer, SHOWN, profile)
    assert score.parsed == pytest.approx(GOLD)
    assert score.value == 1.0


@pytest.mark.reported("boxes")
@pytest.mark.parametrize(
    ("profile", "answer"),
    [
        ("thousandths", "[100, 100, 600, 1001]"),
        ("thousandths", "[0.1, 0.1, 0.6, 0.6]"),
        ("thousandths", "[-1, 100, 600, 600]"),
        ("thousandths", "(100,100),(600,600),(700,700)"),
        ("thousandths", "(100,100),(600,600) and (100,100),(700,700)"),
        ("pixels", "[64, 48, 641, 288]"),
        ("pixels", "[64, 48, 384, 481]"),
        ("pixels", "[0.1, 0.1, 0.6, 0.6]"),
        ("pixels", '[{"bbox_2d": [64, 48, 384, 288]}, {"bbox_2d": [1, 2, 30, 40]}]'),
        ("qwen2.5-vl", "[64, 48, 384, 480]"),  # 476 pixels high is what it is shown
        ("strict", "[64, 48, 384, 288]"),
        ("strict", "[100, 100, 600, 600]"),
        ("paligemma", "[100, 100, 600, 600]"),
        ("paligemma", "<loc0100><loc0100><loc0600>"),
        ("paligemma", "<loc1000><loc0100><loc0600><loc0600>"),
        ("kosmos-2", "<patch_index_0099>"),
        ("kosmos-2", "[3, 3, 19, 19]"),
        ("strict", "<loc0100><loc0100><loc0600><loc0600>"),
    ],
)
def test_a_box_beyond_the_scale_of_its_profile_is_unread(profile: str, answer: str) -> None:
    score = score_framed(GOLD, answer, SHOWN, profile)
    assert (score.value, score.parsed, score.counts["unread"]) == (0.0, None, 1)


@pytest.mark.reported("boxes")
def test_paligemmas_tokens_are_top_left_bottom_right_in_1024ths() -> None:
    answer = "<loc0256><loc0128><loc0768><loc0512> cat"
    assert score_framed((80.0, 120.0, 240.0, 240.0), answer, SHOWN, "paligemma").value == 1.0


@pytest.mark.reported("boxes")
@pytest.mark.parametrize(
    ("answer", "box"),
    [
        (
            "<object><patch_index_0099><patch_index_0627></object>",
            (70.0, 52.5, 320.0, 240.0),
        ),  # 3,3 and 19,19
        ("<patch_index_0000><patch_index_0000>", (0.0, 0.0, 20.0, 15.0)),  # one cell
        ("<patch_index_0000><patch_index_0031>", (0.0, 0.0, 640.0, 15.0)),  # one row
    ],
)
def test_kosmos_cells_are_joined_centre_to_centre(answer: str, box: Box) -> None:
    assert score_framed(box, answer, SHOWN, "kosmos-2").parsed == pytest.approx(box)


@pytest.mark.parametrize(
    ("size", "shown"),
    [((640, 480), (644, 476)), ((20, 20), (56, 56)), ((8_000, 6_000), (4_116, 3_080)), ((336, 336), (336, 336))],
)
def test_qwen_is_shown_sides_in_steps_of_28_within_its_area(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert resized_for_qwen(size) == shown

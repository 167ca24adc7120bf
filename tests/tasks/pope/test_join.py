"""Answers to POPE find the questions that their rows name, in every layout, or are refused: no figure is another's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.errors import DataError, StropError, UsageError
from harness.marking import Answered
from harness.stats import estimate
from strop.app import app
from tasks.pope.answers import load_answers
from tasks.pope.marks import pope_metrics, score_pope
from tests.support.marked import mark_pope

PHOTO = "COCO_val2014_{:012d}.jpg"

OBJECTS = {
    "random": ((7, "dog", "yes"), (7, "car", "no"), (8, "dog", "yes"), (8, "cup", "no")),
    "popular": ((7, "dog", "yes"), (7, "person", "no"), (8, "dog", "yes"), (8, "chair", "no")),
    "adversarial": ((7, "dog", "yes"), (7, "cat", "no"), (8, "dog", "yes"), (8, "fork", "no")),
}
"""Category -> (image, object, label) of its questions: as in POPE, those with the answer yes are the same in all."""


def _lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _question(thing: str) -> str:
    return f"Is there a {thing} in the image?"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Label files, numbered from 1 in each, and LLaVA's file of questions, numbered through, adversarial first."""
    questions = []
    for category, start in (("adversarial", 1), ("popular", 2001), ("random", 1001)):
        rows = [
            {"question_id": n, "image": PHOTO.format(image), "text": _question(thing), "label": label}
            for n, (image, thing, label) in enumerate(OBJECTS[category], start=1)
        ]
        _lines(tmp_path / f"coco_pope_{category}.json", rows)
        for n, row in enumerate(rows, start):
            questions.append({"question_id": n, "image": row["image"], "text": row["text"] + "\nOne word.",
                          "category": category})  # fmt: skip
    _lines(tmp_path / "llava.jsonl", questions)
    return tmp_path


def _vcd(of: str, **changed: Any) -> list[dict[str, Any]]:
    """Rows as VCD's scripts write them, the right answer in each."""
    return [
        {"question_id": n, "prompt": _question(thing), "text": label, "image": PHOTO.format(image), **changed}
        for n, (image, thing, label) in enumerate(OBJECTS[of], start=1)
    ]


def _load(world: Path, rows: Sequence[dict[str, Any]], **options: Any) -> Answered:
    return load_answers(_lines(world / "answers.jsonl", rows), world / "llava.jsonl", world, **options)


def _right(answered: Answered) -> dict[str, float]:
    """Accuracy by category."""
    groups = list(dict.fromkeys(str(sample.meta["group"]) for sample in answered.samples))
    figures = estimate(mark_pope(answered, "official"), pope_metrics(groups), draws=1)
    return {group: figures[f"{group}/accuracy"].value or 0.0 for group in groups}


# A wrong figure that looks right --------------------------------------------------------------------------------------


def test_ids_that_restart_do_not_make_popular_answers_adversarial_ones(world: Path) -> None:
    answered = _load(world, _vcd("popular"), partial=True)
    assert _right(answered) == {"popular": 1.0}
    assert answered.info["joined"] == {"answers.jsonl": "category and the question_id within it"}
    with pytest.raises(DataError, match=r"answers the popular questions, and .*adversarial\.json labels adversarial"):
        load_answers(world / "answers.jsonl", world / "llava.jsonl", world / "coco_pope_adversarial.json")


KITE = {"question_id": 1, "image": PHOTO.format(8), "prompt": "Is there a kite in the image?", "text": "yes"}


@pytest.mark.parametrize("partial", [False, True])
def test_a_row_that_names_another_picture_and_object_is_refused_and_shown(world: Path, partial: bool) -> None:
    with pytest.raises(DataError) as error:
        _load(world, [KITE], partial=partial)
    assert str(error.value).startswith(
        "1 of 1 row names another question or picture than the joined one "
        f"({world}/answers.jsonl:1: image is '{PHOTO.format(8)}' where the question joined is '{PHOTO.format(7)}'; "
        f"{world}/answers.jsonl:1: prompt is 'Is there a kite in the image?' where the question joined is "
        "'Is there a dog in the image? One word.'); name the questions that were asked (--questions)"
    )


NAMES = [PHOTO.format(7), PHOTO.format(7).removesuffix(".jpg"), f"/data/val2014/{PHOTO.format(7)}", "000000000007", 7]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_the_same_however_it_is_named(world: Path, name: object) -> None:
    row = {"question_id": 2001, "text": "yes", "image": name}
    assert len(_load(world, [row], partial=True).samples) == 1
    with pytest.raises(DataError, match="1 of 1 row names another"):
        _load(world, [{**row, "question_id": 2003}], partial=True)


@pytest.mark.parametrize(
    ("prompt", "fits"),
    [
        ("Is there a dog in the image?", True),
        ("is there a  DOG in the imange?\nAnswer yes or no.", True),
        ("USER: <image>\nIs there a dog in the image? ASSISTANT:", True),
        ("Can you see a dog here?", True),
        ("Answer the question using a single word or phrase.", True),
        ("Is there a cat in the image?", False),
        ("Can you see a cat here?", False),
    ],
)
def test_a_prompt_is_held_against_the_question_and_not_against_its_instruction(
    world: Path, prompt: str, fits: bool
) -> None:
    rows = [{"question_id": 2001, "text": "yes", "prompt": prompt}]
    if fits:
        assert _right(_load(world, rows, partial=True)) == {"popular": 1.0}
    else:
        with pytest.raises(DataError, match="prompt is"):
            _load(world, rows, partial=True)


def test_a_category_that_contradicts_is_refused_and_one_that_does_not_says_what_an_id_means(world: Path) -> None:
    assert _right(_load(world, _vcd("popular", category="popular"), partial=True)) == {"popular": 1.0}
    every = [row for category in OBJECTS for row in _vcd(category, category=category)]
    answered = _load(world, every)
    assert _right(answered) == {"adversarial": 1.0, "popular": 1.0, "random": 1.0}
    with pytest.raises(DataError, match=r"category is 'random' where the question joined is 'adversarial'"):
        _load(world, [{"question_id": 1, "text": "yes", "category": "random", "image": 9}], partial=True)
    with pytest.raises(DataError, match=r"field 'category' must be 'random', whose answers the file was named for"):
        load_answers({"random": _lines(world / "p.jsonl", _vcd("popular", category="popular"))}, None, world)


def test_ids_that_begin_at_0_are_not_the_questions_ids(world: Path) -> None:
    counted_from_0 = [{**row, "question_id": row["question_id"] - 1} for row in _vcd("popular")]
    answered = _load(world, counted_from_0, partial=True)
    assert (_right(answered), answered.info["joined"]) == (
        {"popular": 1.0},
        {"answers.jsonl": "category, image and object"},
    )
    bare = [{"question_id": n, "text": "yes"} for n in range(4)]
    with pytest.raises(DataError, match=r":1: question_id 0 is no question of .*llava\.jsonl"):
        _load(world, bare, partial=True)


def test_rows_in_another_order_are_joined_by_what_they_name(world: Path) -> None:
    assert _right(_load(world, _vcd("popular")[::-1], partial=True)) == {"popular": 1.0}
    shuffled = [{**row, "question_id": 1 + (n * 3) % 4} for n, row in enumerate(_vcd("popular"))]
    assert _right(_load(world, shuffled, partial=True)) == {"popular": 1.0}


def test_rows_that_fit_several_categories_are_refused_with_the_remedy(world: Path) -> None:
    (shared, *_) = _vcd("random")
    with pytest.raises(DataError, match=r"where ids restart in each category name a file for each: --answers random="):
        _load(world, [{**shared, "question_id": 3}], partial=True)
    twice = [row for category in OBJECTS for row in _vcd(category)]
    with pytest.raises(DataError, match=r":5: question_id 1 was already given at .*:1; where ids restart in each"):
        _load(world, twice)


@pytest.mark.parametrize("names", [(), ("image",)])
def test_numbers_that_fit_every_category_are_refused_unless_it_is_named(world: Path, names: tuple[str, ...]) -> None:
    """All categories show the same pictures in the same order, so that a picture does not tell them apart."""
    rows = [{name: row[name] for name in ("question_id", "text", *names)} for row in _vcd("popular")]
    with pytest.raises(
        DataError, match=r"its rows fit the questions of several categories, and do not say which; where"
    ):
        _load(world, rows, partial=True)
    answered = load_answers({"popular": world / "answers.jsonl"}, world / "llava.jsonl", world)
    assert (_right(answered), answered.info["unnamed"]) == ({"popular": 1.0}, 4)


def test_rows_that_name_nothing_are_told(world: Path) -> None:
    ids = [{"question_id": n, "text": "no"} for n in (1, 2)]
    assert _load(world, [*ids, *_vcd("adversarial")[2:]], partial=True).info["unnamed"] == 2


def test_questions_in_the_place_of_answers_are_refused(world: Path) -> None:
    for name in ("llava.jsonl", "coco_pope_adversarial.json"):
        with pytest.raises(DataError, match=rf"{name} holds questions and no answers"):
            load_answers(world / name, world / "llava.jsonl", world, partial=True)


# Layouts --------------------------------------------------------------------------------------------------------------


def _own(category: str) -> list[dict[str, Any]]:
    """POPE's own rows: no id, the question as its label file has it."""
    return [{"question": _question(thing), "answer": f"{label}, I think"} for _, thing, label in OBJECTS[category]]


def test_popes_own_rows_are_joined_by_order_where_each_repeats_its_question(world: Path) -> None:
    answered = _load(world, _own("popular"), partial=True)
    assert (_right(answered), answered.answers[0]) == ({"popular": 1.0}, "yes, I think")
    as_text = [{"text": row["question"], "answer": row["answer"]} for row in _own("popular")]
    assert _load(world, as_text, partial=True).answers == answered.answers


def test_rows_that_say_their_category_are_in_order_within_it(world: Path) -> None:
    rows = [{**row, "category": category} for category in OBJECTS for row in _own(category)]
    mixed = [rows[position] for n in range(4) for position in (n, 4 + n, 8 + n)]
    assert _right(_load(world, mixed)) == dict.fromkeys(OBJECTS, 1.0)


def test_a_gold_answer_in_a_row_is_never_taken_for_the_models(world: Path) -> None:
    echo = [
        {**row, "question": row["prompt"], "answer": row["text"], "text": f"{row['prompt']} Hm."}
        for row in _vcd("popular")
    ]
    answered = _load(world, echo, partial=True)
    assert answered.answers == tuple(f"{row['prompt']} Hm." for row in _vcd("popular"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_own("popular")[::-1], r"answers\.jsonl:1: question is 'Is there a chair in .* where .*: put them into that"),
        (_own("popular") * 2, r"has 8 rows without an id, in the order of popular as far as they go; answer those"),
        (_own("popular")[:1], r"has 1 row without an id, in the order of adversarial, popular, random as far"),
        ([{"question": "Who?", "answer": "no"}], r":1: the row has neither question_id nor the question that it"),
        ([{"text": "no"}], r"answers\.jsonl:1: the row has neither question_id nor the question"),
        ([{"question": "Is there a dog in the image?", "answer": 1}], r"field 'answer' must be a string, found 1"),
    ],
)
def test_rows_without_an_id_that_are_not_the_questions_in_their_order_are_refused(
    world: Path, rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _load(world, rows, partial=True)


def test_a_file_a_category_is_each_joined_to_its_own(world: Path) -> None:
    files = {category: _lines(world / f"{category}.jsonl", _vcd(category)) for category in OBJECTS}
    for questions in (None, world / "llava.jsonl"):
        assert _right(load_answers(files, questions, world)) == dict.fromkeys(OBJECTS, 1.0)
    ids = {"popular": _lines(world / "ids.jsonl", [{"question_id": n, "text": "no"} for n in range(1, 5)])}
    answered = load_answers(ids, None, world)
    assert (_right(answered), answered.info["categories_without_answers"]) == (
        {"popular": 0.5},
        {"random": 4, "adversarial": 4},
    )
    with pytest.raises(DataError, match=r"llava\.jsonl has no category 'pop'; it has adversarial, popular, random"):
        load_answers({"pop": files["popular"]}, world / "llava.jsonl", world)
    with pytest.raises(DataError, match=r"2 of 4 rows name another"):
        load_answers({"random": files["popular"]}, None, world)


def test_a_label_file_is_questions_too_and_they_go_by_what_is_asked_of_which_image(world: Path) -> None:
    labels = world / "coco_pope_popular.json"
    answered = load_answers(_lines(world / "answers.jsonl", _vcd("popular")), labels, labels)
    assert _right(answered) == {"popular": 1.0}
    assert answered.samples[1].id == "popular/COCO_val2014_000000000007/person"


# The published file, cut up -------------------------------------------------------------------------------------------


def _published(pope: Path, category: str, *, own: bool = False) -> list[dict[str, Any]]:
    """LLaVA's published answers to one category, in VCD's layout or in POPE's own."""
    texts = {
        row["question_id"]: row["text"]
        for row in map(json.loads, (pope / "answers/llava-v1.5-13b.jsonl").read_text().splitlines())
    }
    rows = map(json.loads, (pope / "llava_pope_test.jsonl").read_text().splitlines())
    questions = [(row["image"], row["text"].split("\n")[0], texts[row["question_id"]]) for row in rows
             if row["category"] == category]  # fmt: skip
    if own:
        return [{"question": question, "answer": text} for _, question, text in questions]
    return [{"question_id": n, "image": image, "prompt": question, "text": text}
            for n, (image, question, text) in enumerate(questions, start=1)]  # fmt: skip


def _run(*words: object) -> Result:
    return CliRunner().invoke(app, ["score", "pope", *map(str, words)])


def _headline(result: Result) -> str:
    return next(line for line in result.stdout.splitlines() if "/f1: " in line)


@pytest.fixture(scope="module")
def pope(conformance: Path) -> Path:
    return conformance / "pope"


def test_published_popular_answers_in_vcds_layout_score_86_25_as_popular(pope: Path, tmp_path: Path) -> None:
    answers = _lines(tmp_path / "popular.jsonl", _published(pope, "popular"))
    named = ("--answers", answers, "--questions", pope / "llava_pope_test.jsonl")
    ended = _run(*named, "--truth", pope / "labels_2910", "--partial")
    assert _headline(ended).startswith("popular/f1: official 86.25 ")
    refused = _run(*named, "--truth", pope / "labels_2910/coco_pope_adversarial.json")
    assert isinstance(refused.exception, DataError)
    unlike = _run("--answers", answers, "--truth", pope / "labels_2910/coco_pope_adversarial.json")
    assert str(unlike.exception).startswith("1132 of 3000 rows name another question or picture")


@pytest.mark.parametrize("own", [False, True])
def test_the_published_answers_in_three_files_score_what_they_score_in_one(
    pope: Path, expected: dict[str, Any], tmp_path: Path, own: bool
) -> None:
    files = [f"{name}={_lines(tmp_path / f'{name}.jsonl', _published(pope, name, own=own))}" for name in OBJECTS]
    for named in (["--answers", ",".join(files)], [word for file in files for word in ("--answers", file)]):
        printed = json.loads(_run(*named, "--truth", pope / "labels_2910", "--json").stdout)
        for split, figures in expected["pope/llava-1.5-13b"]["recomputed"].items():
            assert printed["metrics"][f"{split}/f1"]["value"] == pytest.approx(figures["f1"], abs=1e-9)


# The command line -----------------------------------------------------------------------------------------------------


def test_a_category_alone_is_headlined_by_its_own_name(world: Path) -> None:
    _lines(world / "answers.jsonl", _vcd("popular"))
    printed = json.loads(
        _run("--answers", world / "answers.jsonl", "--questions", world / "coco_pope_popular.json", "--json").stdout
    )
    assert not [name for name in printed["metrics"] if name.startswith("macro")]
    assert _headline(
        _run("--answers", world / "answers.jsonl", "--questions", world / "coco_pope_popular.json")
    ).startswith("popular/f1: official 100.00")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--answers", "a.jsonl", "--answers", "b.jsonl"),
            "--answers a.jsonl: of several files each is one category's",
        ),
        (("--answers", "random=a,b"), "--answers b: of several files each is one category's"),
        (("--answers", "random=a", "--answers", "random=b"), "--answers names random twice; keep one file"),
        (("--answers", "a", "--truth", "b", "--truth", "c"), "--truth is given 2 times and takes one value; keep one"),
    ],
)
def test_a_second_file_of_answers_never_wins_silently(words: Sequence[str], message: str) -> None:
    exception = _run(*words).exception
    assert isinstance(exception, UsageError)
    assert str(exception).startswith(message)


@pytest.mark.parametrize("task", ["chair", "scienceqa", "mathvista", "grounding", "ic"])
def test_elsewhere_a_second_file_of_answers_is_refused(task: str) -> None:
    exception = CliRunner().invoke(app, ["score", task, "--answers", "a", "--answers", "b"]).exception
    assert isinstance(exception, StropError)
    assert str(exception) == "--answers is given 2 times and takes one value; keep one"


def test_blank_answers_that_earn_are_told_with_what_they_earn(world: Path) -> None:
    _lines(world / "blank.jsonl", [{**row, "text": ""} for row in _vcd("popular")])
    output = _run("--answers", world / "blank.jsonl", "--questions", world / "coco_pope_popular.json").stdout
    assert "4 blank answers earn 2 of the 2 marks by official\n" in output
    assert "popular/f1 is 66.67 by official and 0.00 by strict: the same answers\n" in output
    assert score_pope("yes", "").value == 0.0

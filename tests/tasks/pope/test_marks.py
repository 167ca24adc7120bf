"""POPE's figures equal the published run's, and files that do not belong together are refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, UsageError
from harness.marking import Answered
from harness.results import Marked
from harness.stats import estimate
from tasks.chair.answers import load_answers as load_captions
from tasks.pope.answers import load_answers
from tasks.pope.marks import pope_metrics, score_pope
from tasks.pope.questions import object_asked_for
from tasks.reading.readers import YES_NO_PROFILES
from tests.support.marked import mark_pope

SPLITS = ("adversarial", "popular", "random")
FIGURES = ("accuracy", "precision", "recall", "f1", "yes_ratio")


def _totals(rows: Sequence[Marked], group: str | None) -> Counter[str]:
    total: Counter[str] = Counter()
    for row in rows:
        if group in (None, row.group):
            total.update({name: int(count) for name, count in row.counts.items()})
    return total


def _same_figures(rows: Sequence[Marked], figures: Mapping[str, Any], group: str | None) -> None:
    """The counts exactly and the ratios to 1e-9, of one category or (None) of all rows."""
    rows = [row for row in rows if group in (None, row.group)]
    total = _totals(rows, group)
    assert {name: total[name] for name in ("tp", "fp", "tn", "fn")} == {
        name: figures[name] for name in ("tp", "fp", "tn", "fn")
    }
    assert (total["asked"], total["unread"]) == (figures["n"], figures["unreadable"])
    result = estimate(rows, pope_metrics([group] if group else []), draws=1)
    for name in FIGURES:
        assert result[f"{group or 'pooled'}/{name}"].value == pytest.approx(figures[name], abs=1e-9)


@pytest.fixture(scope="module")
def pope(conformance: Path) -> Path:
    return conformance / "pope"


def _load(pope: Path, labels: str | Path) -> Answered:
    return load_answers(pope / "answers/llava-v1.5-13b.jsonl", pope / "llava_pope_test.jsonl", pope / labels)


@pytest.mark.parametrize("profile", YES_NO_PROFILES)
def test_llava_13b_scores_what_it_scored_under_every_profile(
    pope: Path, expected: dict[str, Any], profile: str
) -> None:
    figures = expected["pope/llava-1.5-13b"]["recomputed"]
    rows = mark_pope(_load(pope, "labels_2910"), profile)
    for split in SPLITS:
        _same_figures(rows, figures[split], split)
    _same_figures(rows, figures["pooled"], None)
    result = estimate(rows, pope_metrics(SPLITS), draws=1)
    assert result["macro/accuracy"].value == pytest.approx(figures["macro"]["accuracy"], abs=1e-9)
    assert result["macro/f1"].value == pytest.approx(figures["macro"]["f1"], abs=1e-9)


def test_the_3000_row_labels_give_the_same_figures_and_90_rows_nobody_asked(
    pope: Path, expected: dict[str, Any]
) -> None:
    answered = _load(pope, "labels_3000")
    rows = mark_pope(answered, "official")
    for split, figures in expected["pope/llava-1.5-13b"]["against_labels_3000"]["splits"].items():
        _same_figures(rows, figures, split)
        joined = answered.info["splits"][split]
        assert joined["label_rows"] == figures["label_rows"]
        assert joined["questions"] == figures["answered"]
        assert joined["label_rows_without_question"] == figures["label_rows"] - figures["answered"]


def test_the_yes_ratio_that_lmms_eval_prints_is_the_gold_one(pope: Path) -> None:
    rows = mark_pope(_load(pope, "labels_2910"), "lmms-eval")
    shares = [_totals(rows, split)["gold_yes"] / _totals(rows, split)["asked"] for split in SPLITS]
    assert [round(share, 4) for share in shares] == [0.5, 0.5, 0.5155]


def test_the_first_2910_rows_of_the_3000_are_refused_instead_of_scoring_one_half(pope: Path, tmp_path: Path) -> None:
    for split in SPLITS:
        lines = (pope / f"labels_3000/coco_pope_{split}.json").read_text().splitlines(keepends=True)
        (tmp_path / f"coco_pope_{split}.json").write_text("".join(lines[:2910] if split == "random" else lines))
    with pytest.raises(DataError, match=r"llava_pope_test\.jsonl:\d+: .*coco_pope_random\.json has no row left for"):
        _load(pope, tmp_path)


def test_labels_of_another_category_are_refused(pope: Path, tmp_path: Path) -> None:
    for split, content in zip(SPLITS, ("adversarial", "random", "random"), strict=True):
        (tmp_path / f"coco_pope_{split}.json").write_bytes(
            (pope / f"labels_2910/coco_pope_{content}.json").read_bytes()
        )
    with pytest.raises(DataError, match=r"category popular.*labels of other questions"):
        _load(pope, tmp_path)


def test_one_label_file_marks_its_own_category_and_says_what_it_left(pope: Path, expected: dict[str, Any]) -> None:
    answered = _load(pope, "labels_2910/coco_pope_random.json")
    _same_figures(mark_pope(answered, "official"), expected["pope/llava-1.5-13b"]["recomputed"]["random"], "random")
    assert answered.info["categories_without_truth"] == {"adversarial": 3000, "popular": 3000}


@pytest.mark.parametrize("labels", ["labels_2910", "labels_3000"])
def test_label_files_hold_what_the_readme_counts(pope: Path, expected: dict[str, Any], labels: str) -> None:
    for split, counts in expected["pope/labels_against_chair_ground_truth"]["counts"][labels[-4:]].items():
        rows = [json.loads(line) for line in (pope / labels / f"coco_pope_{split}.json").read_text().splitlines()]
        assert len(rows) == counts["rows"]
        assert sum(row["label"] == "yes" for row in rows) == counts["yes"]
        assert len({row["image"] for row in rows}) == counts["images"]
        assert sum("imange" in row["text"] for row in rows) == counts["misspelt_imange"]
        assert all(object_asked_for(row["text"]) for row in rows)


@pytest.mark.parametrize("build", ["areebol", "maxlinn"])
def test_labels_agree_with_the_objects_of_the_images(
    conformance: Path, expected: dict[str, Any], build: str, tmp_path: Path
) -> None:
    truth = conformance / f"chair/ground_truth_{build}.json.gz"
    for split, figures in expected["pope/labels_against_chair_ground_truth"]["recomputed"][build].items():
        path = conformance / f"pope/labels_3000/coco_pope_{split}.json"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        ids = {row["image"]: int(row["image"][-16:-4]) for row in rows}
        captions = tmp_path / "captions.jsonl"
        captions.write_text("".join(json.dumps({"image_id": i, "caption": ""}) + "\n" for i in ids.values()))
        objects = {int(sample.id): sample.target for sample in load_captions(captions, truth).samples}
        differ = [
            {"image": row["image"], "object": object_asked_for(row["text"]), "label": row["label"]}
            for row in rows
            if (object_asked_for(row["text"]) in objects[ids[row["image"]]]) != (row["label"] == "yes")
        ]
        assert len(rows) - len(differ) == figures["agree"]
        assert differ == figures["disagree"]


# An unreadable answer under each profile: (gold yes, gold no) -> the cells that count one.
UNREADABLE = {
    "official": ({"tp", "right", "yes"}, {"fp", "yes"}),
    "lmms-eval": ({"unread"}, {"unread"}),
    "vlmeval": ({"unread", "fn"}, {"unread", "tn"}),
    "strict": ({"unread", "fn"}, {"unread"}),
}


@pytest.mark.parametrize("profile", UNREADABLE)
def test_an_unreadable_answer_counts_as_its_profile_says(profile: str) -> None:
    for gold, cells in zip(("yes", "no"), UNREADABLE[profile], strict=True):
        score = score_pope(gold, "A snowboard", profile)
        always = {"asked"} | ({"gold_yes"} if gold == "yes" else set())
        assert {name for name, count in score.counts.items() if count} == cells | always
        assert score.value == ("right" in cells)


@pytest.mark.parametrize("profile", YES_NO_PROFILES)
def test_gold_gets_full_marks(profile: str) -> None:
    for gold in ("yes", "no"):
        score = score_pope(gold, gold, profile)
        assert (score.value, score.parsed) == (1.0, gold)
    rows = [_row(gold, gold, profile) for gold in ("yes", "no")]
    figures = estimate(rows, pope_metrics(["random"]), draws=1)
    assert [figures[f"random/{name}"].value for name in ("accuracy", "f1")] == [1.0, 1.0]


@pytest.mark.parametrize("profile", ["lmms-eval", "vlmeval", "strict"])
def test_silence_gets_nothing(profile: str) -> None:
    assert score_pope("yes", "", profile).value == score_pope("no", " ", profile).value == 0.0
    assert score_pope("yes", "", profile).parsed is None


def test_unreadable_answers_flatter_lmms_eval_and_cost_strict() -> None:
    answers = [("yes", "Yes"), ("yes", "well"), ("no", "No"), ("no", "Yes")]
    recall = {
        profile: estimate([_row(g, a, profile) for g, a in answers], pope_metrics(["random"]), draws=1)[
            "random/recall"
        ].value
        for profile in ("lmms-eval", "strict")
    }
    assert recall == {"lmms-eval": 1.0, "strict": 0.5}


def test_a_profile_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no profile 'llava'; it has official"):
        score_pope("yes", "yes", "llava")


def _row(gold: str, answer: str, profile: str) -> Marked:
    score = score_pope(gold, answer, profile)
    return Marked(
        id=gold,
        cluster=gold,
        group="random",
        answer=answer,
        value=score.value,
        parsed=score.parsed,
        counts=score.counts,
    )


QUESTION = {"question_id": 7, "image": "a.jpg", "text": "Is there an apple in the image?", "category": "random"}
LABEL = {"question_id": 1, "image": "a.jpg", "text": "Is there an apple in the imange?", "label": "no"}
ANSWER = {"question_id": 7, "text": "No"}


def _files(folder: Path, **content: str) -> Answered:
    rows = {"answers": json.dumps(ANSWER), "questions": json.dumps(QUESTION), "coco_pope_random": json.dumps(LABEL)}
    paths = {name: folder / f"{name}.json" for name in rows}
    for name, path in paths.items():
        path.write_text(content.get(name, rows[name]))
    return load_answers(paths["answers"], paths["questions"], folder)


def test_a_question_meets_its_label_though_id_and_spelling_differ(tmp_path: Path) -> None:
    (sample,) = _files(tmp_path).samples
    assert (sample.id, sample.target, sample.cluster, sample.meta["group"]) == ("7", "no", "a.jpg", "random")


MALFORMED = [
    ("answers", '{"question_id": 7', r"answers\.json:1: not valid JSON"),
    ("answers", "", r"answers\.json is empty"),
    ("answers", "[7]", r"answers\.json: \[0\]: expected an object, found int"),
    ("answers", '{"question_id": 7}', r"answers\.json:1: field 'text' is missing; found question_id"),
    ("answers", '{"question_id": 7, "text": null}', r"answers\.json:1: field 'text' must be a string, found null"),
    ("answers", '{"question_id": 7.5, "text": ""}', r"'question_id' must be an integer or a string, found 7\.5"),
    ("answers", '{"question_id": true, "text": ""}', r"'question_id' must be an integer or a string, found true"),
    ("answers", json.dumps(ANSWER) + "\n\n" + json.dumps(ANSWER), r":3: question_id 7 was already given at .*:1"),
    ("answers", '{"question_id": 8, "text": ""}', r"answers\.json:1: question_id 8 is no question of"),
    ("questions", json.dumps(QUESTION) + "\n" + json.dumps(QUESTION), r"questions\.json:2: question_id 7 was already"),
    (
        "questions",
        json.dumps(LABEL),
        r"questions\.json does not say which category it labels: .*; name it coco_pope_<category>\.json",
    ),
    (
        "coco_pope_random",
        json.dumps(QUESTION),
        r"'label' is missing; found .*; the file to name is coco_pope_<category>",
    ),
    ("questions", json.dumps({**QUESTION, "text": "Who?"}), r"questions\.json:1: field 'text' must be a question"),
    ("questions", json.dumps({**QUESTION, "category": 1}), r"questions\.json:1: field 'category' must be a string"),
    (
        "questions",
        json.dumps({**QUESTION, "image": "b.jpg"}),
        r"questions\.json:1: .* has no row left for 'apple' in b",
    ),
    ("questions", json.dumps({**QUESTION, "category": "odd"}), r"expected one label file coco_pope_odd\.json"),
    ("questions", json.dumps(QUESTION) + "\n" + json.dumps({**QUESTION, "question_id": 9}), r":2: .*no row left for"),
    ("coco_pope_random", json.dumps({**LABEL, "label": "maybe"}), r"random\.json:1: field 'label' must be"),
    ("coco_pope_random", json.dumps(LABEL) + "\n" + json.dumps({**LABEL, "label": "yes"}), r":2: labelled yes, but"),
    ("coco_pope_random", "\n", r"coco_pope_random\.json is empty"),
]


@pytest.mark.parametrize(("name", "content", "message"), MALFORMED)
def test_a_malformed_file_is_refused_by_file_and_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _files(tmp_path, **{name: content})


def test_missing_answers_are_refused_or_listed_but_never_dropped(tmp_path: Path) -> None:
    two = {"questions": [QUESTION, {**QUESTION, "question_id": 8, "image": "b.jpg"}], "coco_pope_random": [LABEL]}
    two["coco_pope_random"].append({**LABEL, "image": "b.jpg"})
    content = {name: "\n".join(json.dumps(row) for row in rows) for name, rows in two.items()}
    with pytest.raises(DataError, match=r"no answer to 1 question: 8; complete the file"):
        _files(tmp_path, **content)
    answered = load_answers(tmp_path / "answers.json", tmp_path / "questions.json", tmp_path, partial=True)
    assert ([sample.id for sample in answered.samples], answered.info["unanswered"]) == (["7"], ["8"])


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        load_answers(tmp_path / "a", tmp_path / "none.jsonl", tmp_path)

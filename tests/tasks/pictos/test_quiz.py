"""Pictos asks as ScienceQA, MathVista and grounding do: true answers, words that were taught, odds that are told."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from harness.models.vlm import Vlm
from harness.types import Sample, Sampling, Task
from tasks.data.presence import presence
from tasks.grounding.readers import box_text
from tasks.pictos import coco
from tasks.pictos.benchmarks import SCENES, ChartPicture, ScenePicture
from tasks.pictos.catalogue import CATEGORIES
from tasks.pictos.charts import chart_questions, compose_chart
from tasks.pictos.language import hinted, place_questions, questions, read_names
from tasks.pictos.quiz import APART, PictosGrounding, PictosMathVista, PictosScienceQA
from tasks.pictos.training import exam
from tasks.pictos.world import SIDE, SPLITS, compose, seeds_of
from tasks.reading.readers import LETTERS
from tasks.registry import TASKS

pytestmark = pytest.mark.slow

SCIENCE, MATH, BOXES = PictosScienceQA(), PictosMathVista(), PictosGrounding()


def _kind(sample: Sample) -> str:
    return sample.id.rsplit("/", 1)[1]


def _kinds(task: Task, split: str = "test") -> dict[str, list[Sample]]:
    results: dict[str, list[Sample]] = {}
    for sample in task.samples(split):
        results.setdefault(_kind(sample), []).append(sample)
    return results


def _options(sample: Sample) -> dict[str, str]:
    """Letter -> option, read from the prompt."""
    return dict(re.findall(r"^\(?([A-D])[.)] (.+)$", sample.prompt, re.MULTILINE))


# What is asked --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [SCIENCE, MATH, BOXES], ids=lambda task: task.name)
def test_a_thousand_questions_are_asked_and_clustered_by_picture(task: Task) -> None:
    samples = task.samples("test")
    assert TASKS[task.name]() == task
    assert len(samples) == 1_000
    for sample in samples:
        (picture,) = sample.images
        assert isinstance(picture, ScenePicture | ChartPicture)
        assert (sample.cluster, sample.id) == (picture.id, f"{picture.id}/{_kind(sample)}")
        assert isinstance(picture, ChartPicture) == (_kind(sample) in ("height", "highest"))


def test_ids_of_scenes_are_those_of_the_other_tasks() -> None:
    assert ScenePicture(7).id == compose(7).id


def test_the_first_questions_are_a_fair_part_of_all() -> None:
    for first in (10, 100, 500):
        kinds = Counter(_kind(sample) for sample in SCIENCE.samples("test")[:first])
        assert kinds == {"present": 0.4 * first, "position": 0.3 * first, "highest": 0.3 * first}
        assert set(Counter(_kind(sample) for sample in MATH.samples("test")[:first]).values()) == {first / 5}


def test_options_name_what_is_there_and_what_is_not() -> None:
    for sample in _kinds(SCIENCE)["present"]:
        options = _options(sample)
        present = [letter for letter, name in options.items() if name in compose(sample.images[0].seed).counts()]
        assert (present, len(set(options.values()))) == ([SCIENCE.gold(sample)], 4)


@pytest.mark.parametrize("task", [SCIENCE, MATH], ids=lambda task: task.name)
def test_what_is_further_left_is_so_beyond_dispute(task: Task) -> None:
    for sample in _kinds(task)["position"]:
        things = compose(sample.images[0].seed).things
        options = _options(sample)
        named = [options.pop(task.gold(sample)), *options.values()]
        left, other = (thing.centre for name in named for thing in things if thing.category.name == name)
        assert other - left >= APART


@pytest.mark.parametrize("task", [SCIENCE, MATH], ids=lambda task: task.name)
def test_the_highest_bar_is_the_highest(task: Task) -> None:
    for sample in _kinds(task)["highest"]:
        heights = dict(compose_chart(sample.images[0].seed).bars)
        options = _options(sample)
        assert set(options.values()) == set(heights)
        assert heights[options[task.gold(sample)]] == max(heights.values())


def test_numbers_are_those_of_the_picture() -> None:
    kinds = _kinds(MATH)
    for sample in kinds["count"]:
        (name,) = read_names(sample.prompt)
        assert MATH.gold(sample) == str(compose(sample.images[0].seed).counts()[name])
    for sample in kinds["height"]:
        (name,) = read_names(sample.prompt)
        assert MATH.gold(sample) == str(dict(compose_chart(sample.images[0].seed).bars)[name])


def test_a_comparison_is_of_two_unequal_numbers_above_zero() -> None:
    for sample in _kinds(MATH)["comparison"]:
        counts = compose(sample.images[0].seed).counts()
        first, other = (counts[name] for name in read_names(sample.prompt))
        assert first != other
        assert min(first, other) > 0
        assert _options(sample)[MATH.gold(sample)] == ("Yes" if first > other else "No")


def test_the_gold_box_is_the_coco_instances() -> None:
    for sample in BOXES.samples("test"):
        document = coco.instances([compose(sample.images[0].seed)])
        names = {category["id"]: category["name"] for category in document["categories"]}
        (box,) = (row["bbox"] for row in document["annotations"] if names[row["category_id"]] == sample.meta["object"])
        assert list(sample.target) == box
        assert list(read_names(sample.prompt)) == [sample.meta["object"]]


# The words ------------------------------------------------------------------------------------------------------------

FORMS = sorted({form for category in CATEGORIES for form in (category.name, category.plural)}, key=len, reverse=True)
NAMES = re.compile(rf"\b(?:{'|'.join(FORMS)})\b")


def _form(prompt: str) -> str:
    """The prompt without the names; four options and three look alike."""
    return re.sub(r"\n(?:[CD]\.|\([CD]\)) _", "", NAMES.sub("_", prompt))


def test_forms_are_those_that_the_seed_was_taught_but_for_three() -> None:
    taught = set()
    for seed in SPLITS["models"][:300]:
        rng = np.random.default_rng(seed)
        requests = [*questions(compose(seed), rng), *place_questions(compose(seed), rng, pairs=1)]
        taught |= {_form(question.prompt) for question in [*requests, *chart_questions(compose_chart(seed), rng)]}
    new = {
        (task.name, kind)
        for task in (SCIENCE, MATH, BOXES)
        for kind, samples in _kinds(task).items()
        if not {_form(sample.prompt) for sample in samples} & taught
    }
    assert new == {
        ("pictos_scienceqa", "position"),
        ("pictos_mathvista", "comparison"),
        ("pictos_mathvista", "highest"),
    }
    for task in (SCIENCE, MATH, BOXES):
        for samples in _kinds(task).values():
            assert len({_form(sample.prompt) for sample in samples}) == 1, "one kind, one form"


def test_hints_are_those_of_mathvista(conformance: Path) -> None:
    problems: dict[str, Any] = json.loads((conformance / "mathvista/testmini.json").read_text())
    samples: dict[str, str] = json.loads((conformance / "mathvista/query.json").read_text())
    ours = {
        pid: hinted(problem["question"], problem["choices"] or ())
        for pid, problem in problems.items()
        if problem["choices"] or problem["answer_type"] == "integer"
        if not problem["unit"]
    }
    assert len(ours) > 900
    assert {pid for pid, prompt in ours.items() if prompt.strip() != samples[pid]} == set()


# The odds -------------------------------------------------------------------------------------------------------------


def _told(task: Task) -> dict[str, float]:
    """What the first paragraph, which `strop tasks` shows, says is earned without looking."""
    text = " ".join(str(type(task).__doc__).split("\n\n")[0].split()).split("is right for")[1]
    return {kind: float(share) for kind, share in re.findall(r"(\w+) ([\d.]+) %", text)}


@pytest.mark.parametrize("split", ["test", "dev"])
def test_the_same_letter_each_time_earns_what_scienceqa_says(split: str) -> None:
    kinds = _kinds(SCIENCE, split)
    best = {
        kind: max(sum(SCIENCE.score(sample, letter).value for sample in samples) for letter in "ABCD")
        for kind, samples in kinds.items()
    }
    best["all"] = max(
        sum(SCIENCE.score(sample, letter).value for sample in SCIENCE.samples(split)) for letter in "ABCD"
    )
    requests = {kind: len(samples) for kind, samples in kinds.items()} | {"all": 1_000}
    assert {kind: round(100 * right / requests[kind], 1) for kind, right in best.items()} == _told(SCIENCE)


@pytest.mark.parametrize("split", ["test", "dev"])
def test_the_same_answer_to_all_of_a_kind_earns_what_mathvista_says(split: str) -> None:
    answers = ["A", "B", "C", "D", *map(str, range(10))]
    best = {
        kind: max(sum(MATH.score(sample, answer).value for sample in samples) for answer in answers)
        for kind, samples in _kinds(MATH, split).items()
    }
    shares = {kind: 100 * right / 200 for kind, right in best.items()}
    assert shares | {"all": sum(best.values()) / 10} == _told(MATH)


def test_the_option_in_the_best_company_is_right_for_34_percent() -> None:
    counted = presence(compose(seed).counts() for seed in SPLITS["models"][:SCENES])

    def company(name: str, others: set[str]) -> float:
        return sum(counted.together[name].get(other, 0) for other in others) / max(counted.alone.get(name, 0), 1)

    right = 0
    for sample in _kinds(SCIENCE)["present"]:
        options = sample.target.options
        liked = max(options, key=lambda name: company(name, set(options) - {name}))
        right += LETTERS[options.index(liked)] == SCIENCE.gold(sample)
    assert round(100 * right / 400) == 34


def test_the_same_box_each_time_earns_no_more_than_grounding_says() -> None:
    samples = BOXES.samples("test")
    gold = np.array([sample.target for sample in samples])
    left, top = gold[:, 0], gold[:, 1]
    right, bottom = left + gold[:, 2], top + gold[:, 3]
    results = []
    for edges in np.ndindex(10, 10, 10, 10):
        x0, y0, x1, y1 = (4 * edge for edge in (edges[0], edges[1], edges[2] + 7, edges[3] + 7))
        if x1 <= x0 or y1 <= y0:
            continue
        width = np.clip(np.minimum(right, x1) - np.maximum(left, x0), 0, None)
        shared = width * np.clip(np.minimum(bottom, y1) - np.maximum(top, y0), 0, None)
        overlap = shared / (gold[:, 2] * gold[:, 3] + (x1 - x0) * (y1 - y0) - shared)
        results.append((overlap.mean(), (overlap >= 0.5).mean()))
    assert 0.09 < max(mean for mean, _ in results) <= 0.10
    assert 0.02 < max(share for _, share in results) <= 0.04


def test_what_the_seed_was_taught_to_say_has_a_mean_overlap_of_994_thousandths() -> None:
    marks = []
    for sample in BOXES.samples("test"):
        x, y, width, height = sample.target
        taught = [int(min(edge, SIDE - 1)) for edge in (x, y, x + width, y + height)]
        marks.append(BOXES.score(sample, str(taught)).value)
    assert round(sum(marks) / len(marks), 3) == 0.994


def test_ones_are_two_in_five_counts() -> None:
    assert Counter(MATH.gold(sample) for sample in _kinds(MATH)["count"])["1"] == 80


# The model cards ------------------------------------------------------------------------------------------------------


def test_cards_give_full_marks_to_who_says_what_was_taught() -> None:
    class Pupil:
        def generate(self, samples: list[Sample], sampling: Sampling) -> list[list[str]]:
            return [[str(sample.target)] for sample in samples]

    figures = exam.question_scores(cast(Vlm, Pupil()), scenes=60)
    assert set(figures.values()) == {100.0}
    assert [name.removeprefix("question ") for name in figures] == [
        "box", "chart-number", "chart-option", "count of 1", "count of 2", "count of 3", "move", "option", "position",
        "presence", "truth", "count, each number alike",
    ]  # fmt: skip


def test_gold_of_a_box_may_reach_the_edge() -> None:
    assert box_text((54.0, 2.0, 10.0, 8.0)) == "[54, 2, 64, 10]"
    assert len(seeds_of("test")) == 10_000_000

"""The embedded world follows from its seeds, tells the truth about itself, and asks as the benchmarks do."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from harness.errors import UsageError
from harness.pictures import picture_digest
from harness.results import mark
from harness.stats import estimate
from harness.types import Sample, Task
from tasks.data.presence import presence
from tasks.pictos import coco
from tasks.pictos.benchmarks import POPE_GROUPS, SCENES, PictosPope, ScenePicture, caption_samples
from tasks.pictos.catalogue import BY_NAME, CATEGORIES, COMPANIONS, THEMES
from tasks.pictos.charts import chart_questions, compose_chart, draw_chart
from tasks.pictos.language import (
    PLACES,
    Claim,
    caption,
    claims,
    false_claim,
    human_captions,
    is_true,
    questions,
    read_names,
)
from tasks.pictos.training.build import tokenizer
from tasks.pictos.world import (
    SIDE,
    SPLITS,
    Scene,
    Thing,
    compose,
    draw,
    pictogram,
    seeds_of,
)
from tasks.registry import TASKS, find_task, training_pool

pytestmark = pytest.mark.slow

PICTOS = [name for name in TASKS if name.startswith("pictos_")]
PROMISED_SHARE = 0.45

SEEDS = st.integers(0, max(split.stop for split in SPLITS.values()) - 1)
FEW = settings(max_examples=150, deadline=None, derandomize=True)

# Scenes ---------------------------------------------------------------------------------------------------------------


@FEW
@given(SEEDS)
def test_a_seed_gives_the_same_scene_and_the_same_pixels(seed: int) -> None:
    first = compose.__wrapped__(seed)
    assert compose.__wrapped__(seed) == first
    assert draw(first).tobytes() == draw(first).tobytes() == ScenePicture(seed)().tobytes()
    assert (draw(first).mode, draw(first).size) == ("RGB", (SIDE, SIDE))


def test_scenes_are_these_on_every_machine() -> None:
    """Whatever changes a scene must raise `world.VERSION`, and these with it."""
    texts = [caption(compose(seeds_of(split, 1)[0])) for split in ("pool", "dev", "test")]
    assert texts == PINNED


PINNED = [
    "Two cups on the right. A small donut in the middle. A small teddy bear on the right.",
    "Two umbrellas. Two frisbees in the middle.",
    "A large boat on the left. A bird in the middle. A zebra in the middle. A small giraffe on the right. "
    "A small kite on the left.",
]


def _opaque(thing: Thing) -> np.ndarray[Any, Any]:
    """Where a thing's own pictogram is opaque on the canvas, whatever lies over it."""
    glyph = thing.glyph
    stamp = np.asarray(pictogram(glyph.text, glyph.side, glyph.mirrored, glyph.turn))[:, :, 3] > 100
    padded = np.zeros((SIDE + 2 * SIDE, SIDE + 2 * SIDE), dtype=bool)
    padded[SIDE + glyph.y : SIDE + glyph.y + glyph.side, SIDE + glyph.x : SIDE + glyph.x + glyph.side] = stamp
    return padded[SIDE : 2 * SIDE, SIDE : 2 * SIDE]


def _visible(scene: Scene) -> list[np.ndarray[Any, Any]]:
    """The visible pixels of each thing: its own, less those of all that is pasted after it."""
    below = {thing.glyph: _opaque(thing) for thing in scene.things}
    masks = []
    for thing in scene.things:
        mask = below[thing.glyph].copy()
        for above in scene.layers[scene.layers.index(thing.glyph) + 1 :]:
            mask &= ~_opaque(dataclasses.replace(thing, glyph=above))
        masks.append(mask)
    return masks


@FEW
@given(SEEDS)
def test_every_annotated_thing_is_visible_and_its_box_holds_its_visible_pixels(seed: int) -> None:
    scene = compose(seed)
    for thing, mask in zip(scene.things, _visible(scene), strict=True):
        whole = (
            np.asarray(pictogram(thing.glyph.text, thing.glyph.side, thing.glyph.mirrored, thing.glyph.turn))[:, :, 3]
            > 100
        ).sum()
        rows, columns = np.nonzero(mask)
        x, y, width, height = thing.box
        assert (x, y, x + width - 1, y + height - 1) == (columns.min(), rows.min(), columns.max(), rows.max())
        assert thing.area == mask.sum()
        assert thing.visible == mask.sum() / whole
        assert thing.visible >= PROMISED_SHARE


@FEW
@given(SEEDS)
def test_a_things_pixels_are_its_pictograms(seed: int) -> None:
    """Fully opaque and uncovered, a pixel differs from the pictogram's by the noise alone (7 levels, one sigma)."""
    scene = compose(seed)
    picture = np.asarray(draw(scene), dtype=float)
    for thing, mask in zip(scene.things, _visible(scene), strict=True):
        glyph = thing.glyph
        stamp = np.asarray(pictogram(glyph.text, glyph.side, glyph.mirrored, glyph.turn), dtype=float)
        covered = scene.layers[scene.layers.index(glyph) + 1 :]
        touched = np.zeros_like(mask)
        for above in covered:
            top, left = max(above.y, 0), max(above.x, 0)
            touched[top : above.y + above.side, left : above.x + above.side] = True
        for row, column in zip(*np.nonzero(mask & ~touched), strict=True):
            *colour, alpha = stamp[row - glyph.y, column - glyph.x]
            if alpha == 255:
                assert np.abs(picture[row, column] - colour).max() <= 40


# Splits ---------------------------------------------------------------------------------------------------------------


def test_splits_are_disjoint_ranges_of_seeds() -> None:
    for first, other in itertools.combinations(SPLITS.values(), 2):
        assert first.step == other.step == 1
        assert max(first.start, other.start) >= min(first.stop, other.stop)
    assert list(SPLITS) == ["models", "encoder", "pool", "dev", "test"]


def test_no_picture_of_a_split_is_one_of_another() -> None:
    digests = {split: {picture_digest([draw(compose(seed))]) for seed in seeds_of(split, 400)} for split in SPLITS}
    assert all(len(digest) == 400 for digest in digests.values())
    for first, other in itertools.combinations(digests, 2):
        assert not digests[first] & digests[other]


def test_the_pool_is_never_what_tasks_ask_about() -> None:
    for name in PICTOS:
        pool = {sample.images[0].seed for sample in training_pool(name).of_round(seed=0, number=1, count=50)}
        assert pool <= set(SPLITS["pool"])
    seeds = {sample.images[0].seed for task in PICTOS for sample in find_task(task).samples("test")}
    assert seeds <= set(SPLITS["test"])


@pytest.mark.parametrize("task", PICTOS)
def test_slices_of_the_pool_follow_one_another(task: str) -> None:
    pool = training_pool(task)
    whole = [sample.id for sample in pool.of_round(seed=0, number=1, count=30)]
    parts = [sample.id for number in (1, 2, 3) for sample in pool.of_round(seed=0, number=number, count=10)]
    assert parts == whole


def test_a_split_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match=r"no split 'tset'; it has models, encoder, pool, dev, test"):
        caption_samples("tset", 1)


def test_a_task_without_a_pool_is_named() -> None:
    with pytest.raises(
        UsageError,
        match=r"'pope' has no training pool; these have one: physics_figures, pictos_captions, pictos_chair,",
    ):
        training_pool("pope")


def test_the_pool_of_questions_is_as_balanced_as_what_is_measured() -> None:
    def pool(task: str) -> Sequence[Sample]:
        return training_pool(task).of_round(seed=3, number=1, count=180)

    assert Counter(sample.target for sample in pool("pictos_pope")) == {"yes": 90, "no": 90}
    assert all(
        (sample.meta["object"] in compose(sample.images[0].seed).counts()) == (sample.target == "yes")
        for sample in pool("pictos_pope")
    )
    kinds = Counter((sample.target.cells[0], sample.target.gold) for sample in pool("pictos_scienceqa"))
    assert {count for (kind, _), count in kinds.items() if kind == "present"} == {15}
    assert {count for (kind, _), count in kinds.items() if kind == "position"} == {30}
    assert len({sample.id for sample in pool("pictos_mathvista")}) == 180


# Language -------------------------------------------------------------------------------------------------------------


@FEW
@given(SEEDS)
def test_a_caption_names_exactly_the_scenes_categories_once(seed: int) -> None:
    scene = compose(seed)
    assert Counter(read_names(caption(scene))) == Counter(set(scene.counts()))


@FEW
@given(SEEDS)
def test_human_captions_are_five_and_name_nothing_else(seed: int) -> None:
    scene = compose(seed)
    captions = human_captions(scene)
    assert len(captions) == 5
    assert captions[0] == caption(scene)
    for several in captions:
        assert 0 < len(set(read_names(several))) <= len(scene.counts())
        assert set(read_names(several)) <= set(scene.counts())


def _is_true_of(claim: Claim, scene: Scene) -> bool:
    """Whether a claim holds, worked out from the annotations."""
    things = [thing for thing in scene.things if thing.category.name == claim.name]
    if len(things) != claim.count:
        return False
    thirds = {PLACES[min(int(thing.centre * 3 / SIDE), 2)] for thing in things}
    if claim.place is not None and thirds != {claim.place}:
        return False
    longest = max(max(thing.box[2:]) for thing in things)
    return {"small": longest <= 13, "large": longest >= 22, None: True}[claim.size]


@FEW
@given(SEEDS, st.integers(0, 2**32))
def test_claims_are_true_and_false_claims_are_false(seed: int, number: int) -> None:
    scene = compose(seed)
    assert all(_is_true_of(claim, scene) for claim in claims(scene))
    false = false_claim(scene, np.random.default_rng(number))
    assert not _is_true_of(false, scene)
    assert false.sentence() not in caption(scene)


@FEW
@given(SEEDS, st.integers(0, 2**32))
def test_questions_have_right_answers(seed: int, number: int) -> None:
    scene = compose(seed)
    counts = scene.counts()
    for question in questions(scene, np.random.default_rng(number)):
        named = list(read_names(question.prompt))
        if question.kind == "presence":
            assert (named[0] in counts) == (question.answer == "Yes")
        elif question.kind == "count":
            assert counts[named[-1]] == int(question.answer)
        elif question.kind == "option":
            options = dict(re.findall(r"^([A-E])\. (.+)$", question.prompt, re.MULTILINE))
            assert [letter for letter, name in options.items() if name in counts] == [question.answer]
        elif question.kind == "truth":
            sentences = {is_true(claim.sentence()) for claim in claims(scene)}
            assert (question.prompt in sentences) == (question.answer == "Yes")
        elif question.kind == "box":
            (thing,) = (thing for thing in scene.things if thing.category.name == named[-1])
            x, y, width, height = thing.box
            corners = [min(value, SIDE - 1) for value in (x, y, x + width, y + height)]
            assert [int(value) for value in re.findall(r"\d+", question.answer)] == corners
        else:
            assert question.kind == "position"
            centres = {thing.category.name: thing.centre for thing in scene.things}
            options = dict(re.findall(r"^\(([AB])\) (.+)$", question.prompt, re.MULTILINE))
            assert centres[options[question.answer]] == min(centres[name] for name in options.values())


@FEW
@given(st.integers(0, 10**6))
def test_a_charts_questions_have_right_answers(seed: int) -> None:
    chart = compose_chart(seed)
    heights = dict(chart.bars)
    assert Counter(heights.values())[max(heights.values())] == 1
    number, option = chart_questions(chart, np.random.default_rng(seed))
    assert heights[next(read_names(number.prompt.split("How many", 1)[1]))] == int(number.answer)
    options = dict(re.findall(r"^([A-E])\. (.+)$", option.prompt, re.MULTILINE))
    assert heights[options[option.answer]] == max(heights.values())
    assert draw_chart(chart).size == (SIDE, SIDE)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A hot dog on the left.", ["hot dog"]),
        ("A teddy bear. A bear.", ["teddy bear", "bear"]),
        ("A dog and two hot dogs.", ["dog", "hot dog"]),
        ("Two knives, three wine glasses and mice.", ["knife", "wine glass", "mouse"]),
        ("People with sheep.", ["person", "sheep"]),
        ("A CAT. a cat.", ["cat", "cat"]),
        ("A hot bear.", ["bear"]),
        ("A carpet, a catalogue, a tiered cake", ["cake"]),
        ("", []),
        ("Yes.", []),
    ],
)
def test_the_longest_name_is_read(text: str, names: list[str]) -> None:
    assert list(read_names(text)) == names


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)
def test_every_category_is_read_in_singular_and_plural(category: Any) -> None:
    for form in (category.name, category.plural, category.name.capitalize(), category.plural.upper()):
        assert list(read_names(f"Look: {form}.")) == [category.name]


def test_the_catalogue_speaks_of_itself_only() -> None:
    names = set(BY_NAME)
    assert len(names) == len(CATEGORIES) == 67
    assert set(COMPANIONS) == names
    assert {other for others in COMPANIONS.values() for other in others} <= names
    assert {usual for theme in THEMES for usual in theme.usual} <= names
    assert all(name not in others for name, others in COMPANIONS.items())


@FEW
@given(SEEDS, st.integers(0, 2**32))
def test_the_tokenizer_loses_nothing_of_what_is_said(seed: int, number: int) -> None:
    words = tokenizer()
    scene, rng = compose(seed), np.random.default_rng(number)
    samples = [*questions(scene, rng), *chart_questions(compose_chart(seed), rng)]
    texts = [caption(scene), *(text for question in samples for text in (question.prompt, " " + question.answer))]
    texts += [false_claim(scene, rng).sentence(), *(sample.prompt for sample in caption_samples("test", 1))]
    for text in texts:
        ids = words(text).input_ids
        assert words.unk_token_id not in ids
        assert words.decode(ids) == text


def test_the_tokenizer_loses_nothing_of_the_benchmarks() -> None:
    words = tokenizer()
    prompts = {sample.prompt for name in PICTOS for sample in find_task(name).samples("test")}
    for prompt in prompts:
        assert words.unk_token_id not in words(prompt).input_ids
        assert words.decode(words(prompt).input_ids) == prompt


# Benchmarks -----------------------------------------------------------------------------------------------------------


def test_pycocotools_loads_the_scenes_with_the_same_counts() -> None:
    scenes = [compose(seed) for seed in seeds_of("test", 60)]
    loaded = COCO()
    loaded.dataset = coco.instances(scenes)
    loaded.createIndex()
    assert sorted(loaded.getImgIds()) == [scene.seed for scene in scenes]
    assert len(loaded.getCatIds()) == 67
    assert len(loaded.getAnnIds()) == sum(len(scene.things) for scene in scenes)
    for scene in scenes:
        annotations = loaded.loadAnns(loaded.getAnnIds(imgIds=scene.seed))
        names = Counter(loaded.loadCats(item["category_id"])[0]["name"] for item in annotations)
        assert names == scene.counts()
        for annotation in annotations:
            x, y, width, height = annotation["bbox"]
            assert 0 <= x < x + width <= SIDE
            assert 0 <= y < y + height <= SIDE
            assert 0 < annotation["area"] <= width * height
    spoken = COCO()
    spoken.dataset = coco.captions(scenes)
    spoken.createIndex()
    assert len(spoken.getAnnIds()) == 5 * len(scenes)
    assert len({item["id"] for item in spoken.dataset["annotations"]}) == 5 * len(scenes)


@pytest.fixture(scope="module")
def pope() -> dict[str, dict[str, list[Sample]]]:
    """scene -> group -> questions."""
    results: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in PictosPope().samples("test"):
        results[sample.cluster][sample.meta["group"]].append(sample)
    return results


def _scene_of(name: str) -> Scene:
    return compose(int(name.removeprefix("pictos-")))


def test_pope_asks_six_questions_a_scene_and_group_half_of_them_yes(pope: dict[str, dict[str, list[Sample]]]) -> None:
    assert len(pope) == 500
    for scene, groups in pope.items():
        present = set(_scene_of(scene).counts())
        assert tuple(groups) == POPE_GROUPS
        yes = {
            frozenset(sample.meta["object"] for sample in questions if sample.target == "yes")
            for questions in groups.values()
        }
        assert len(yes) == 1, "every group asks for the same objects that are there"
        for group in groups.values():
            assert [sample.target for sample in group] == ["yes"] * 3 + ["no"] * 3
            assert len({sample.meta["object"] for sample in group}) == 6
            assert all((sample.meta["object"] in present) == (sample.target == "yes") for sample in group)
            assert all(list(read_names(sample.prompt)) == [sample.meta["object"]] for sample in group)


def test_popular_negatives_are_the_most_frequent_and_adversarial_ones_the_most_co_occurring(
    pope: dict[str, dict[str, list[Sample]]],
) -> None:
    counted = presence(compose(seed).counts() for seed in seeds_of("test", SCENES))
    for scene, groups in pope.items():
        present = set(_scene_of(scene).counts())
        absent = [category.name for category in CATEGORIES if category.name not in present]

        def company(name: str, present: set[str] = present) -> int:
            return sum(counted.together[names].get(name, 0) for names in present)

        popular, adversarial = (
            [item.meta["object"] for item in groups[group] if item.target == "no"]
            for group in ("popular", "adversarial")
        )
        frequent = sorted((counted.alone.get(name, 0) for name in absent), reverse=True)
        assert [counted.alone[name] for name in popular] == frequent[:3]
        assert [company(name) for name in adversarial] == sorted((company(name) for name in absent), reverse=True)[:3]


def test_presence_counts_scenes() -> None:
    scenes = [compose(seed) for seed in seeds_of("test", 300)]
    counted = presence(scene.counts() for scene in scenes)
    assert counted.alone["cup"] == sum("cup" in scene.counts() for scene in scenes)
    assert counted.together["fork"]["knife"] == counted.together["knife"]["fork"]
    assert counted.together["fork"]["knife"] == sum({"fork", "knife"} <= set(scene.counts()) for scene in scenes)
    assert "fork" not in counted.together["fork"]


# All tasks ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=PICTOS, scope="module")
def task(request: pytest.FixtureRequest) -> Task:
    return find_task(request.param)


def test_a_task_is_what_the_harness_calls_a_task(task: Task) -> None:
    assert isinstance(task, Task)
    assert task.headline in {metric.name for metric in task.metrics}
    assert TASKS[task.name]() == task


@pytest.mark.parametrize("split", ["dev", "test"])
def test_ids_are_unique_and_the_same_each_time(task: Task, split: str) -> None:
    ids = [sample.id for sample in task.samples(split)]
    assert len(set(ids)) == len(ids) > 0
    assert [sample.id for sample in find_task(task.name).samples(split)] == ids


def test_blind_samples_hold_no_gold(task: Task) -> None:
    for sample in task.samples("test")[:20]:
        assert sample.blind().target is None
        assert not set(sample.meta) - {"group", "object"}


def test_gold_earns_full_marks_and_silence_none(task: Task) -> None:
    samples = task.samples("test")
    for sample in samples:
        assert task.score(sample, task.gold(sample)).value == 1.0
        silent = task.score(sample, "")
        assert (silent.value, silent.parsed) == (0.0, None)
    for answer, expected in ((task.gold, 1.0), (lambda _: "", 0.0)):
        rows = [mark(sample, answer(sample), task.score(sample, answer(sample))) for sample in samples]
        figures = estimate(rows, task.metrics, draws=1)
        for metric in task.metrics:
            kind = metric.name.rsplit("/", 1)[-1]
            if kind in ("accuracy", "f1", "recall"):
                assert figures[metric.name].value == expected
            elif kind in ("CHAIRs", "CHAIRi"):
                assert figures[metric.name].value == (0.0 if expected or kind == "CHAIRs" else None)
            elif kind == "unread":
                assert figures[metric.name].value == 1.0 - expected

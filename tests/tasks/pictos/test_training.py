"""What the embedded world's models are taught is true of the scenes, and no answer is seen by another."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.models.encoder import load_encoder
from harness.models.load import load_vlm
from harness.models.weights import model_digest
from harness.types import Sample, Sampling
from tasks.pictos.benchmarks import ScenePicture
from tasks.pictos.catalogue import BY_NAME, CATEGORIES
from tasks.pictos.charts import compose_chart
from tasks.pictos.hand import Hand
from tasks.pictos.language import DESCRIBE, box_question, caption, place_questions
from tasks.pictos.training import __main__ as stages
from tasks.pictos.training.build import tokenizer
from tasks.pictos.training.data import IMAGE, PICTURE_TOKENS, Conversations, Looks, Packed
from tasks.pictos.training.patches import BLOCK, HAND, IGNORE, chart_patches, scene_patches
from tasks.pictos.training.vlm import nearness
from tasks.pictos.world import SPLITS, compose, corners, draw

pytestmark = pytest.mark.slow

WORDS = tokenizer()
SCENES = 12


@pytest.fixture(scope="module")
def looks() -> Packed:
    return next(iter(Looks(0, 1, SCENES, WORDS)))


@pytest.fixture(scope="module")
def conversations() -> Packed:
    return next(iter(Conversations(0, 1, SCENES, WORDS, questions=2, pairs=1, emphasis=3.0)))


def branches(packed: Packed, row: int) -> Iterator[slice]:
    """The stretches of a row that go on from the prefix: each begins where a token does not see the one before."""
    inside = packed.mask[row, 0]
    length = int((packed.ids[row] != WORDS.pad_token_id).sum())
    begin = PICTURE_TOKENS + 2
    for end in range(begin + 1, length + 1):
        if end == length or not inside[end, end - 1]:
            yield slice(begin, end)
            begin = end


def answered(packed: Packed, row: int) -> dict[str, str]:
    """What is asked behind a picture, with the answer to it."""
    told = {}
    for branch in branches(packed, row):
        targets = packed.targets[row, branch]
        spoken = targets != IGNORE
        first = int(spoken.nonzero()[0])
        told[WORDS.decode(packed.ids[row, branch][: first + 1]).strip()] = WORDS.decode(targets[spoken]).strip()
    return told


def test_a_name_is_answered_yes_where_it_is_in_the_scene_and_no_where_it_is_not(looks: Packed) -> None:
    for row in range(SCENES):
        told = answered(looks, row)
        if "No" in told.values():  # else it is a chart, or a scene with a hand
            present = {asked.removeprefix("many ") for asked in told if asked.startswith("many ")}
            assert {BY_NAME[name].plural for name, answer in told.items() if answer == "Yes"} == present


def test_what_is_there_weighs_as_much_as_what_is_not(looks: Packed) -> None:
    yes, no = (WORDS(f" {answer}").input_ids[0] for answer in ("Yes", "No"))
    totals = torch.stack([(looks.weights * (looks.targets == answer)).sum(-1) for answer in (yes, no)])
    assert torch.allclose(totals[0], totals[1])
    assert ((totals == 0) | torch.isclose(totals, torch.ones(()))).all()
    assert totals.sum() > SCENES  # most are scenes without a hand


def test_every_branch_sees_the_picture_and_none_sees_another(conversations: Packed) -> None:
    several = 0
    for row in range(SCENES):
        mine = list(branches(conversations, row))
        several += len(mine) > 3
        inside = conversations.mask[row, 0]
        picture = conversations.ids[row] == IMAGE
        for number, branch in enumerate(mine):
            last = inside[branch.stop - 1]
            blind = not last[picture].any()
            assert blind or last[picture].all()
            for other in mine[:number]:
                assert not last[other].any()
    assert several > SCENES / 2


def test_a_scenes_caption_is_what_it_learns_to_say(conversations: Packed) -> None:
    spoken = [WORDS.decode(row[row != IGNORE]) for row in conversations.targets]
    captions = [f"{caption(compose(seed))}</s>" for seed in SPLITS["models"][: SCENES * BLOCK : BLOCK]]
    described = sum(text in row for text in captions for row in spoken)
    asked = sum(DESCRIBE in WORDS.decode(row) for row in conversations.ids)
    assert described == asked > SCENES / 2


def test_positions_go_on_from_the_picture_in_every_branch(conversations: Packed) -> None:
    for row in range(SCENES):
        for branch in branches(conversations, row):
            places = conversations.positions[row, branch]
            assert torch.equal(places, torch.arange(int(places[0]), int(places[0]) + len(places)))
            assert int(places[0]) in (PICTURE_TOKENS + 2, 2)  # 2: the text-only captions, without the picture's places


def test_a_scene_that_is_placed_is_asked_for_the_box_of_all_that_is_there_once() -> None:
    for seed in SPLITS["models"][:SCENES]:
        scene = compose(seed)
        once = [thing for thing in scene.things if scene.counts()[thing.category.name] == 1]
        questions = place_questions(scene, np.random.default_rng(0), pairs=4)
        assert [question for question in questions if question.kind == "box"] == [box_question(thing) for thing in once]
        centres = {thing.category.name: thing.centre for thing in once}
        for question in questions[len(once) :]:
            if question.kind == "position":
                ((first, other),) = re.findall(r"left, the ([a-z ]+) or the ([a-z ]+)\?", question.prompt)
                answer = {"A": first, "B": other}.get(question.answer, question.answer)
                assert answer == min(first, other, key=centres.__getitem__)
            else:
                name = next(c.name for c in CATEGORIES if f"many {c.plural} are" in question.prompt)
                assert question.kind == "count" and question.answer == str(scene.counts()[name])


def test_a_patch_tells_the_box_and_the_number_of_what_fills_it() -> None:
    for seed in SPLITS["models"][:40]:
        scene = compose(seed)
        patches = scene_patches(scene)
        for label, numbers in zip(patches.labels, patches.numbers, strict=True):
            if label == 0:
                assert set(numbers) == {IGNORE}
                continue
            name = CATEGORIES[label - 1].name
            alike = [thing for thing in scene.things if thing.category.name == name]
            assert numbers[4] == len(alike)
            assert tuple(numbers[:4]) in {corners(thing.box) for thing in alike}


def test_a_hand_fills_patches_of_its_own_and_the_foot_of_a_bar_tells_its_height() -> None:
    hand = Hand(seed=0, name="cat", x=27, y=35)
    patches = scene_patches(compose(0), hand)
    assert {tuple(numbers) for numbers in patches.numbers[patches.labels == HAND]} == {(22, 30, 33, 41, 1)}
    for seed in range(20):
        chart = compose_chart(seed)
        patches = chart_patches(chart)
        told = zip(patches.labels, patches.numbers, strict=True)
        heights = {CATEGORIES[label - 1].name: numbers[4] for label, numbers in told if label}
        assert heights == dict(chart.bars)


def test_an_edge_that_is_missed_by_a_pixel_is_nearly_right() -> None:
    near = nearness(WORDS)
    ten, eleven, box = (WORDS(text).input_ids[0] for text in (" 10", " 11", " box"))
    assert near[ten].sum() == pytest.approx(1) and near[ten, ten] == pytest.approx(0.399, abs=1e-3)
    assert near[ten, eleven] == pytest.approx(0.242, abs=1e-3)
    assert near[box].nonzero().flatten().tolist() == [box]


def test_every_model_is_made_from_nothing_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in vars(stages):
        if name.endswith(("_STEPS", "_BATCH")):
            monkeypatch.setattr(stages, name, 2)
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    for make in (stages.tower, stages.seed, stages.encoder, stages.peer):
        make(work, out, "cpu")
    digests = {}
    question = Sample(id="0", prompt="How many cats are there?", images=(ScenePicture(0),), target="0", cluster="0")
    for name in ("pictos-seed", "pictos-peer"):
        vlm = load_vlm(name, path=out / name)
        assert len(vlm.generate([question], Sampling(max_tokens=4))) == 1
        digests[name] = model_digest(out / name)
    assert digests["pictos-seed"] != digests["pictos-peer"]
    assert len(load_encoder(str(out / "pictos-encoder")).match([draw(compose(0))], [["There is a cat."]])[0]) == 1
    kept = {path.name: path.stat().st_mtime_ns for path in work.glob("*.safetensors")}
    shutil.rmtree(out / "pictos-seed")
    stages.seed(work, out, "cpu")  # stopped and begun again, it goes on from the last finished part
    assert {path.name: path.stat().st_mtime_ns for path in work.glob("*.safetensors")} == kept
    assert model_digest(out / "pictos-seed") == digests["pictos-seed"]
    stages.strengths(work, out, "cpu")
    strengths = [model_digest(out / "strengths" / str(number)) for number in range(1, 6)]
    assert len(set(strengths)) == 5 and strengths[-1] == digests["pictos-seed"]

"""What the embedded world's models are taught is true of the scenes, and no answer is seen by another."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tasks.pictos.language import box_question, caption, place_questions
from tasks.pictos.training.build import PATCH, Size, tokenizer, vlm
from tasks.pictos.training.data import IGNORE, IMAGE, PICTURE_TOKENS, Conversations, Labelled, Looks, Packed
from tasks.pictos.training.vlm import teach_places
from tasks.pictos.world import SIDE, SPLITS, compose

pytestmark = pytest.mark.slow

WORDS = tokenizer()
SCENES = 4


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


def test_a_name_is_answered_yes_where_it_is_in_the_scene_and_no_where_it_is_not(looks: Packed) -> None:
    for row, seed in enumerate(SPLITS["models"][:SCENES]):
        present = set(compose(seed).counts())
        answers = {}
        for branch in branches(looks, row):
            targets = looks.targets[row, branch]
            answers[WORDS.decode(looks.ids[row, branch]).strip()] = WORDS.decode(targets[targets != IGNORE]).strip()
        assert {name for name, answer in answers.items() if answer == "Yes"} == present
        assert set(answers.values()) == {"Yes", "No"}


def test_what_is_there_weighs_as_much_as_what_is_not(looks: Packed) -> None:
    yes, no = (WORDS(f" {answer}").input_ids[0] for answer in ("Yes", "No"))
    for row in range(SCENES):
        totals = [looks.weights[row][looks.targets[row] == answer].sum() for answer in (yes, no)]
        assert totals[0] == pytest.approx(1) and totals[1] == pytest.approx(1)


def test_every_branch_sees_the_picture_and_none_sees_another(conversations: Packed) -> None:
    for row in range(SCENES):
        mine = list(branches(conversations, row))
        assert len(mine) >= 4
        inside = conversations.mask[row, 0]
        picture = conversations.ids[row] == IMAGE
        for number, branch in enumerate(mine):
            last = inside[branch.stop - 1]
            blind = not last[picture].any()
            assert blind or last[picture].all()
            for other in mine[:number]:
                assert not last[other].any()


def test_a_scenes_caption_is_what_it_learns_to_say(conversations: Packed) -> None:
    spoken = [WORDS.decode(row[row != IGNORE]) for row in conversations.targets]
    for seed in SPLITS["models"][:SCENES]:
        assert any(f"{caption(compose(seed))}</s>" in text for text in spoken)


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
            options = re.findall(r"\([AB]\) ([a-z ]+)", question.prompt)
            assert options["AB".index(question.answer)] == min(options, key=centres.__getitem__)


def test_patches_tell_where_they_are_once_they_were_placed() -> None:
    model = vlm(Size(vision_width=32, vision_depth=1, text_width=32, text_depth=1), WORDS, 0)
    core = model.model
    pixels, _ = next(iter(Labelled(1_000, 1, 40)))
    column = torch.arange(SIDE // PATCH).repeat(40 * SIDE // PATCH).float()

    def unexplained() -> float:
        """The share of a patch's column that no linear reading of its feature gives."""
        with torch.no_grad():
            seen = core.multi_modal_projector(core.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:])
        seen = torch.cat([seen.flatten(0, 1), torch.ones(len(column), 1)], dim=1)
        rest = column - seen @ torch.linalg.lstsq(seen, column[:, None]).solution[:, 0]
        return float(rest.var() / column.var())

    before = unexplained()
    teach_places(model, start=0, steps=100, batch=4, device="cpu", report=lambda *_: None)
    assert unexplained() < 0.6 * before, before

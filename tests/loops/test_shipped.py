"""The recipes and grids that come with Strop: short, with a source, and understood without a model."""

from __future__ import annotations

import json

import pytest

from loops.documents import find_shipped, shipped_files
from loops.grid import load_grid
from loops.run import plan_recipe
from loops.shipped import Shipped, first_comment, shipped_recipes
from strop.places import data_root
from strop.running import setting
from tests.support.shell import Strop

LEVELS = {
    "ai_feedback": "L3",
    "bad_prompt": "L4",
    "clip_rank": "L3",
    "grounding_iou": "L2",
    "grpo_clip": "L3",
    "grpo_consistency": "L4",
    "grpo_rule": "L2",
    "judge_endpoint": "L3",
    "judge_free": "L3",
    "judge_peer": "L3",
    "judge_self": "L4",
    "negative_noise": "L4",
    "rationale": "L2",
    "reach_dpo": "L3",
    "reach_grpo": "L3",
    "self_consistency": "L4",
    "self_scene": "L5",
    "vqa_peer": "L3",
    "vqa_self_consistency": "L5",
}

GRIDS = {"cost": 6, "floor": 14, "h_ratio": 15, "isolation": 33, "levels": 5, "pictos": 7, "recipes": 18,
         "rates": 24, "sampling_settings": 6, "settings": 18, "ten_rounds": 4, "verifiers": 8,
         "whole_captions": 3}  # fmt: skip
WITHOUT_BASE = ("floor", "rates", "sampling_settings")


def test_a_recipes_level_follows_from_its_parts() -> None:
    assert {shipped.name: shipped.recipe.level for shipped in shipped_recipes()} == LEVELS


@pytest.mark.parametrize("shipped", shipped_recipes(), ids=lambda shipped: shipped.name)
def test_a_recipe_is_short_says_what_it_is_and_has_stages(shipped: Shipped) -> None:
    assert len(find_shipped(shipped.name, "recipe").read_text(encoding="utf-8").splitlines()) <= 30
    assert shipped.about.endswith(".")
    stages = plan_recipe(shipped.recipe, setting(data_root(None), progress=False))
    rounds = range(1, shipped.recipe.rounds + 1)
    assert [name for name in stages if name.endswith("optimise")] == [f"round-{number}/optimise" for number in rounds]


def test_recipes_are_listed_with_their_parts(strop: Strop) -> None:
    listed = json.loads(strop("recipes", "--json").out)
    assert [row["recipe"] for row in listed] == sorted(LEVELS)
    row = next(row for row in listed if row["recipe"] == "judge_free")
    assert (row["collect"], row["verify"], row["optimise"]) == ("controlled_hallucination", "clip", "dpo")
    assert row["level"] == "L3, encoder trained on this world's gold"
    assert "judge_free" in strop("recipes").out


def test_every_cell_of_a_grid_can_be_run() -> None:
    """But for the models of `floor`, which somebody has to make first."""
    world, cells = setting(data_root(None), progress=False), {}
    for name, path in shipped_files("grid").items():
        grid = load_grid(path)
        cells[name] = len(grid.cells)
        assert first_comment(path).endswith((".", "?")) and (grid.baseline or name in WITHOUT_BASE), name
        for cell in grid.cells:
            study = cell.recipe.study(world)
            for part in (study.collect, study.verify, study.select, study.optimise):
                part.refuse(study)
            assert set(cell.recipe.evaluate.tasks) <= set(world.tasks)
            assert name == "floor" or plan_recipe(cell.recipe, world)
    assert cells == GRIDS


def test_all_recipes_that_need_no_server_are_in_one_grid() -> None:
    grid = load_grid(find_shipped("recipes", "grid"))
    assert {cell.base.stem for cell in grid.cells} == LEVELS.keys() - {"judge_endpoint"}

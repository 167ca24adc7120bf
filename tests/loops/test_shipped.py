"""The recipes that come with Strop: short, with a source, and understood without a model."""

from __future__ import annotations

import json

import pytest

from loops.documents import find_shipped
from loops.run import plan_recipe
from loops.shipped import Shipped, shipped_recipes
from strop.places import data_root
from strop.running import setting
from tests.support.shell import Strop

LEVELS = {
    "ai_feedback": "L3",
    "bad_prompt": "L4",
    "clip_rank": "L3",
    "grounding_iou": "L2",
    "judge_endpoint": "L3",
    "judge_free": "L3",
    "judge_peer": "L3",
    "judge_self": "L4",
    "negative_noise": "L4",
    "rationale": "L2",
    "reach_dpo": "L3",
    "reach_grpo": "L3",
    "self_consistency": "L4",
}


def test_a_recipes_level_follows_from_its_parts() -> None:
    assert {shipped.name: shipped.recipe.level for shipped in shipped_recipes()} == LEVELS


@pytest.mark.parametrize("shipped", shipped_recipes(), ids=lambda shipped: shipped.name)
def test_a_recipe_is_short_says_what_it_is_and_has_stages(shipped: Shipped) -> None:
    assert len(find_shipped(shipped.name, "recipe").read_text(encoding="utf-8").splitlines()) <= 30
    assert shipped.about.endswith(".")
    stages = plan_recipe(shipped.recipe, setting(data_root(None), progress=False))
    assert [name for name in stages if name.endswith("optimise")] == ["round-1/optimise", "round-2/optimise"]


def test_recipes_are_listed_with_their_parts(strop: Strop) -> None:
    listed = json.loads(strop("recipes", "--json").out)
    assert [row["recipe"] for row in listed] == sorted(LEVELS)
    row = next(row for row in listed if row["recipe"] == "judge_free")
    assert (row["collect"], row["verify"], row["optimise"]) == ("controlled_hallucination", "clip", "dpo")
    assert row["level"] == "L3, encoder trained on this world's gold"
    assert "judge_free" in strop("recipes").out

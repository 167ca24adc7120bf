"""A level follows from what judges, on old boards as on new ones, and says where an encoder learnt from gold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.autonomy import level_of
from loops import run as rounds
from loops.ledger import Done, Outcome
from loops.recipe import load_recipe
from loops.run import plan_recipe, run_recipe
from strop.running import setting
from tests.support.recipes import JUDGE_FREE

LEARNT = "L3, encoder trained on this world's gold"


@pytest.mark.parametrize(
    ("recipe", "level"),
    [
        ({"verify": {"kind": "none"}, "level": "L3"}, "control"),
        ({"verify": {"kind": "random"}, "level": "L3"}, "control"),
        ({"verify": {"kind": "clip"}, "level": "L5"}, "L3"),
        ({"verify": {"kind": "oracle"}, "level": "L4"}, "L0"),
        ({"verify": {"kind": "clip"}, "select": {"disagreement": "coin"}, "level": "L3"}, "control"),
        ({"verify": {"kind": "clip"}, "select": {"disagreement": "keep"}, "level": LEARNT}, LEARNT),
        ({"verify": {"kind": "somebody's"}, "level": "L2"}, "L2"),
        ({"verify": "clip", "level": "L3"}, "L3"),
        ({}, ""),
    ],
)
def test_a_board_shows_what_judged_and_not_what_was_typed(recipe: Mapping[str, Any], level: str) -> None:
    assert level_of(recipe) == level


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ((), LEARNT),
        (("verify.kind=none",), "control"),
        (("select.disagreement=coin",), "control"),
        (("verify.kind=oracle",), "L0"),
        (("evaluate.tasks=[pope]", "verify.encoder=ViT-B-32::laion2b_s34b_b79k"), "L3"),
    ],
)
def test_a_run_files_its_level(tmp_path: Path, changes: tuple[str, ...], level: str) -> None:
    run = rounds._Plan(load_recipe(JUDGE_FREE, changes), setting())
    assert run.level() == level
    rounds._claim(tmp_path, run.recipe, level)
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["level"] == level
    assert load_recipe(tmp_path / "recipe.yaml") == run.recipe
    rounds._claim(tmp_path, run.recipe, level)


def test_a_run_folder_from_before_is_gone_on_with(tmp_path: Path) -> None:
    """Its recipe names a level and lacks the fields that came later."""
    recipe = load_recipe(JUDGE_FREE)
    fields = recipe.model_dump(mode="json")
    for group, name in (
        ("collect", "unfinished"),
        ("collect", "max_unfinished"),
        ("collect", "prompt"),
        ("verify", "zero"),
    ):
        del fields[group][name]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**fields, "level": "L3"}))
    rounds._claim(tmp_path, recipe, LEARNT)
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["level"] == LEARNT


def test_the_stages_of_the_shipped_recipe_are_known_by_what_they_always_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another field among a stage's inputs is another stage: finished and shared ones would be done again."""
    found: dict[str, Mapping[str, Any]] = {}
    stage = rounds._Plan.stage

    def noted(self: Any, name: str, inputs: Mapping[str, Any], work: Callable[[Path], Outcome]) -> Done:
        found[name] = inputs
        return stage(self, name, inputs, work)

    monkeypatch.setattr(rounds._Plan, "stage", noted)
    plan_recipe(load_recipe(JUDGE_FREE), setting())
    collect, verify, optimise = (found[f"round-1/{name}"] for name in ("collect", "verify", "optimise"))
    assert {name: collect[name] for name in collect if name != "checkpoint"} == {
        "source": "pictos_captions",
        "seed": 0,
        "round": 1,
        "version": 1,
        "collect": {
            "kind": "controlled_hallucination",
            "samples": 2000,
            "h_ratio": {"mean": 0.5, "std": 0.2},
            "share_prefix": True,
            "answers": 4,
            "temperature": 1.0,
            "max_tokens": 80,
        },
    }
    assert {name: verify[name] for name in verify if name not in ("collected", "encoder", "source")} == {
        "version": 1,
        "verify": {"kind": "clip", "encoder": "pictos-encoder", "aggregate": "sum"},
        "seed": None,
    }
    assert (verify["source"][0], optimise["source"], optimise["version"]) == ("pictos_captions", "pictos_captions", 1)


def test_what_changes_a_verdict_or_an_adapter_is_another_stage() -> None:
    def key(stage: str, *changes: str) -> str:
        return plan_recipe(load_recipe(JUDGE_FREE, changes), setting())[f"round-1/{stage}"]

    assert key("verify") != key("verify", "verify.zero=0.5")
    lora = key("optimise", "optimise.weights=lora")
    assert lora not in (key("optimise"), key("optimise", "optimise.weights=lora", "optimise.freeze=[]"))


def test_a_task_that_offers_no_pool_is_told_before_anything_is_done(tmp_path: Path) -> None:
    recipe = load_recipe(JUDGE_FREE, ["source=pictos_pope"])
    with pytest.raises(Exception, match="task 'pictos_pope' has no training pool; these have one: pictos_captions"):
        run_recipe(recipe, tmp_path / "run", setting())
    assert not (tmp_path / "run").exists()

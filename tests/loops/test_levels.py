"""A level follows from what judges, on old boards as on new ones, and says where an encoder learnt from gold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from loops.collect.sampling import SampledAnswers
from loops.collect.self_question import SelfQuestion
from loops.kinds import Verifier
from loops.ledger import Done
from loops.recipe import level_of, load_recipe
from loops.run import claim, plan_recipe, run_recipe, stages_of
from loops.slots import COLLECT, name_of
from loops.stages import Stage, fold
from loops.verify.none import NoVerifier
from loops.verify.random import Random
from loops.verify.shorter import Shorter
from strop.running import setting
from tasks.data.root import DataRoot
from tests.support.recipes import JUDGE_FREE

LEARNT = "L3, encoder trained on this world's gold"


@pytest.mark.parametrize(
    ("recipe", "level"),
    [
        ({"verify": {"kind": "none"}, "level": "L3"}, "L4"),
        ({"verify": {"kind": "none"}, "select": {"disagreement": "coin"}, "level": "L3"}, "control"),
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


MADE_BY_THE_MODEL = ("controlled_hallucination", "guided", "contrastive", "distort", "masked_attention", "bad_prompt",
                     "wrong_chain")  # fmt: skip
ORDERS = {**dict.fromkeys(MADE_BY_THE_MODEL, "L4"), "self_scene": "L5", "random_negative": "control",
          "caption_dropout": "control", "given": "pairs of unknown origin"}  # fmt: skip


def test_pairs_that_nobody_judges_have_the_level_of_whoever_ordered_them() -> None:
    """A collector that gives no order leaves nothing to be credited with."""
    made = {name_of(kind): kind().level(NoVerifier()) for kind in COLLECT.shipped if kind.ordered}
    assert made == ORDERS
    assert {SampledAnswers(temperature=1).level(NoVerifier()), SelfQuestion().level(NoVerifier())} == {"control"}


@pytest.mark.parametrize("verifier", [Random(), Shorter()])
def test_a_control_that_orders_pairs_anew_is_a_control_whoever_ordered_them(verifier: Verifier) -> None:
    assert {kind().level(verifier) for kind in COLLECT.shipped if kind.ordered} == {"control"}


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ((), LEARNT),
        (("verify.kind=none",), "L4"),
        (("select.disagreement=coin",), "control"),
        (("verify.kind=oracle",), "L0"),
        (("evaluate.tasks=[pope]", "verify.encoder=ViT-B-32::laion2b_s34b_b79k"), "L3"),
    ],
)
def test_a_run_files_its_level(tmp_path: Path, changes: tuple[str, ...], level: str) -> None:
    recipe = load_recipe(JUDGE_FREE, changes)
    assert recipe.study(setting(DataRoot())).level == level
    claim(tmp_path, recipe, level)
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["level"] == level
    assert load_recipe(tmp_path / "recipe.yaml") == recipe
    claim(tmp_path, recipe, level)


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
    fields["collect"]["answers"] = 4  # every kind's fields were filed
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**fields, "level": "L3"}))
    claim(tmp_path, recipe, LEARNT)
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["level"] == LEARNT


def inputs_of(*changes: str) -> dict[str, Mapping[str, Any]]:
    """The inputs of the stages of the shipped recipe with these changes, planned."""
    inputs: dict[str, Mapping[str, Any]] = {}

    def note(stage: Stage) -> Done:
        inputs[stage.name] = stage.inputs
        return Done(folder=Path(stage.name), digest="d", facts={}, fresh=False, planned=True)

    fold(stages_of(load_recipe(JUDGE_FREE, changes), setting(DataRoot()), Path("answers.jsonl")), note)
    return inputs


def test_the_stages_of_the_shipped_recipe_are_known_by_what_they_use() -> None:
    """Another field among a stage's inputs is another stage: finished and shared ones would be done again."""
    inputs = inputs_of()
    collect, verify, select, optimise = (
        dict(inputs[f"round-1/{name}"]) for name in ("collect", "verify", "select", "optimise")
    )
    assert len(collect.pop("checkpoint")) == len(verify["verify"].pop("encoder")) == 64
    assert collect == {
        "source": "pictos_captions",
        "seed": 0,
        "round": 1,
        "version": 1,
        "collect": {
            "kind": "controlled_hallucination",
            "version": 1,
            "samples": 2000,
            "h_ratio": {"std": 0.2},
            "temperature": 1.0,
        },
    }
    assert verify == {
        "version": 1,
        "source": "pictos_captions",
        "collected": "d",
        "verify": {"kind": "clip", "version": 1},
    }
    assert select == {"version": 1, "verified": "d", "select": {"kind": "pairs", "version": 2, "keep": 0.25}}
    assert set(optimise) == {"version", "source", "pairs", "start", "optimise", "seed"}
    assert set(optimise["optimise"]) == {"kind", "version", "sft_weight", "trl", "reference"}


@pytest.mark.parametrize(
    ("kind", "uses"),
    [
        ("none", {"kind": "none", "version": 1}),
        ("shorter", {"kind": "shorter", "version": 1}),
        ("random", {"kind": "random", "version": 1, "seed": 1}),
        ("oracle", {"kind": "oracle", "version": 1, "task": ["pictos_captions", 1]}),
    ],
)
def test_a_control_carries_nothing_that_it_does_not_use(kind: str, uses: dict[str, Any]) -> None:
    verify = inputs_of(f"verify.kind={kind}", "verify.encoder=some/other")["round-1/verify"]["verify"]
    assert verify == uses


def test_what_changes_a_verdict_or_an_adapter_is_another_stage() -> None:
    def key(stage: str, *changes: str) -> str:
        return plan_recipe(load_recipe(JUDGE_FREE, changes), setting(DataRoot()))[f"round-1/{stage}"]

    assert key("verify") != key("verify", "verify.zero=0.5")
    lora = key("optimise", "optimise.weights=lora")
    assert lora not in (key("optimise"), key("optimise", "optimise.weights=lora", "optimise.freeze=[]"))


def test_a_task_that_offers_no_pool_is_told_before_anything_is_done(tmp_path: Path) -> None:
    recipe = load_recipe(JUDGE_FREE, ["source=pope"])
    with pytest.raises(Exception, match="task 'pope' has no training pool; these have one: physics_figures"):
        run_recipe(recipe, tmp_path / "run", setting(DataRoot()))
    assert not (tmp_path / "run").exists()

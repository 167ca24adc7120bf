"""A recipe is short, validated field by field, and changed from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from harness.autonomy import LEVELS
from harness.errors import RecipeError
from loops.recipe import Verify, load_recipe
from tests.support.recipes import JUDGE_FREE


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def written(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_the_shipped_recipe_is_a_study_in_thirty_lines() -> None:
    recipe = load_recipe(JUDGE_FREE)
    assert (recipe.name, recipe.level, recipe.collect.kind) == ("judge-free", "L3", "controlled_hallucination")
    assert len(JUDGE_FREE.read_text().splitlines()) <= 30


@pytest.mark.parametrize("path", sorted(JUDGE_FREE.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path: Path) -> None:
    assert load_recipe(path).name


def test_what_a_recipe_leaves_out_has_a_default(write) -> None:  # type: ignore[no-untyped-def]
    recipe = load_recipe(write("{name: mine}"))
    assert (recipe.model, recipe.seed, recipe.collect.h_ratio.std) == ("pictos-seed", 0, 0.15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: a, level: L3, collec: {}}", "there is no field 'collec'; did you mean 'collect'?"),
        ("{name: a, level: L3, collect: {sample: 3}}", "there is no field 'collect.sample'; did you mean 'samples'?"),
        ("{name: a, level: L3, collect: {h_ratio: {meen: 1}}}", "'collect.h_ratio.meen'; did you mean 'mean'?"),
        ("{name: a, level: L3, xyz: 1}", "there is no field 'xyz'"),
        ("{name: a, level: L3, rounds: many}", "field 'rounds' is 'many': input should be a valid integer"),
        ("{name: a, level: L3, rounds: -1}", "field 'rounds' is -1: input should be greater than or equal to 0"),
        (
            "{name: a, level: L5}",
            "field 'level' is 'L5': a recipe's level follows from what judges, which makes this one L3; leave the",
        ),
        ("{name: a, level: L9, verify: {kind: none}}", "field 'level' is 'L9': a recipe's level follows"),
        ("{name: a, level: L4, verify: {kind: oracle}}", "which makes this one L0; leave the field out"),
        ("{name: a, level: 3}", "field 'level' is 3: a recipe's level follows"),
        ("{name: a, level: L3, verify: {kind: judge}}", "field 'verify.kind' is 'judge'"),
        ("{name: a, level: L3, collect: 3}", "field 'collect' is 3"),
        ("{model: a}", "field 'name' is missing"),
        ("{name: a, level: L3, collect: {kind: sampling}}", "sampling at temperature 0 gives equal answers"),
        (
            "{name: a, level: L3, collect: {kind: sampling, temperature: 1}, select: {disagreement: keep}}",
            "select.disagreement keep needs candidates in an order",
        ),
        ("- a list", "expected fields like 'name: ...', found list"),
        ("", "expected fields like 'name: ...', found NoneType"),
        ("{name: [", "not valid YAML"),
    ],
)
def test_a_fault_is_named_by_its_field(write, text: str, message: str) -> None:  # type: ignore[no-untyped-def]
    path = write(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_recipe_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.yaml: no such file"):
        load_recipe(tmp_path / "absent.yaml")


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path)


def test_set_reaches_nested_fields_and_reads_yaml_values() -> None:
    changes = ["collect.h_ratio.mean=0.25", "optimise.freeze=[vision_tower, projector]", "evaluate.limit=null"]
    recipe = load_recipe(JUDGE_FREE, [*changes, "optimise.trl.beta=0.3", "optimise.lora.r=4"])
    assert recipe.collect.h_ratio.mean == 0.25
    assert recipe.collect.h_ratio.std == load_recipe(JUDGE_FREE).collect.h_ratio.std
    assert recipe.optimise.freeze == ("vision_tower", "projector")
    assert recipe.evaluate.limit is None
    assert recipe.optimise.trl["beta"] == 0.3
    assert recipe.optimise.lora == {"r": 4}


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "0.0001", "1.0e-4", "10e-5"])
def test_a_small_number_is_a_number_in_every_way_of_writing_it(text: str) -> None:
    recipe = load_recipe(JUDGE_FREE, [f"optimise.trl.learning_rate={text}"])
    assert recipe.optimise.trl["learning_rate"] == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rounds", "--set rounds: expected key.sub=value"),
        ("=3", "--set =3: expected key.sub=value"),
        ("name.first=3", "--set name.first=3: 'name' is a value, not a group of fields"),
        ("rounds=[1", "--set rounds=[1: the value is not valid YAML"),
        ("collect.sampels=3", "there is no field 'collect.sampels'; did you mean 'samples'?"),
        ("rounds=1.5", "field 'rounds' is 1.5"),
    ],
)
def test_a_bad_set_is_named(change: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(JUDGE_FREE, [change])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ("rounds=1", "L3"),
        ("verify.kind=oracle", "L0"),
        ("verify.kind=none", "control"),
        ("verify.kind=random", "control"),
        ("verify.kind=shorter", "control"),
        ("select.disagreement=coin", "control"),
    ],
)
def test_a_level_follows_from_what_judges_whatever_an_older_recipe_says(write, change: str, level: str) -> None:  # type: ignore[no-untyped-def]
    for text in ("{name: mine}", "{name: mine, level: L3}", "{name: mine, level: L0}"):
        assert load_recipe(write(text), [change]).level == level


def test_every_verifier_has_a_level() -> None:
    kinds = get_args(Verify.model_fields["kind"].annotation)
    assert set(LEVELS) == set(kinds)


def test_the_users_own_pictures_get_longer_answers_unless_the_recipe_says_so() -> None:
    own = "source=folder:my/pictures"
    assert load_recipe(JUDGE_FREE).collect.max_tokens == 80
    assert load_recipe(JUDGE_FREE, [own]).collect.max_tokens == 512
    assert load_recipe(JUDGE_FREE, [own, "collect.max_tokens=64"]).collect.max_tokens == 64


def test_fields_that_came_later_are_no_part_of_a_stage_at_their_default() -> None:
    """Runs and shared stages from before them stay what they were."""
    recipe = load_recipe(JUDGE_FREE)
    assert list(recipe.collect.as_input()) == [
        "kind", "samples", "h_ratio", "share_prefix", "answers", "temperature", "max_tokens"
    ]  # fmt: skip
    assert list(recipe.verify.as_input()) == ["kind", "encoder", "aggregate"]
    changed = load_recipe(JUDGE_FREE, ["collect.unfinished=drop", "verify.zero=0", "collect.prompt=What is this?"])
    assert {**recipe.collect.as_input(), "unfinished": "drop", "prompt": "What is this?"} == changed.collect.as_input()
    assert changed.verify.as_input()["zero"] == 0

"""A recipe is short, validated field by field, and changed from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecipeError
from loops.collect.bad_prompt import BAD_PROMPTS, GOOD_PROMPT
from loops.collect.guided import STEPS
from loops.collect.self_question import ASK
from loops.recipe import Recipe, load_recipe
from loops.slots import SLOTS, VERIFY, name_of
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
            "{name: a, level: L1}",
            "field 'level' is 'L1': a recipe's level follows from what judges, which makes this one L3; leave the",
        ),
        ("{name: a, level: L9, verify: {kind: none}}", "field 'level' is 'L9': a recipe's level follows"),
        ("{name: a, level: L1, verify: {kind: oracle}}", "which makes this one L0; leave the field out"),
        ("{name: a, level: 3}", "field 'level' is 3: a recipe's level follows"),
        ("{name: a, level: L3, verify: {kind: nobody}}", "field 'verify.kind' is 'nobody'"),
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
        ("verify.kind=none", "L4"),
        ("verify.kind=random", "control"),
        ("verify.kind=shorter", "control"),
        ("select.disagreement=coin", "control"),
    ],
)
def test_a_level_follows_from_what_judges_whatever_an_older_recipe_says(write, change: str, level: str) -> None:  # type: ignore[no-untyped-def]
    for text in ("{name: mine}", "{name: mine, level: L3}", "{name: mine, level: L0}"):
        assert load_recipe(write(text), [change]).level == level


def test_every_verifier_has_a_level() -> None:
    assert {name_of(kind): kind.level for kind in VERIFY.shipped} == {
        "clip": "L3", "consistency": "L4", "likelihood": "L4", "judge": "L3", "detector": "L3", "ensemble": "L3",
        "environment": "L3", "rule": "L2", "format": "L2", "oracle": "L0", "random": "control", "shorter": "control",
        "none": "control",
    }  # fmt: skip


def test_the_users_own_pictures_get_longer_answers_unless_the_recipe_says_so() -> None:
    own = "source=folder:my/pictures"
    assert load_recipe(JUDGE_FREE).collect.max_tokens == 80
    assert load_recipe(JUDGE_FREE, [own]).collect.max_tokens == 512
    assert load_recipe(JUDGE_FREE, [own, "collect.max_tokens=64"]).collect.max_tokens == 64


def test_a_stage_is_known_by_the_fields_that_are_not_at_their_default() -> None:
    """A field that is added later makes no finished stage another one."""
    recipe = load_recipe(JUDGE_FREE)
    assert recipe.collect.as_input() == {
        "kind": "controlled_hallucination", "version": 1, "samples": 2000, "h_ratio": {"std": 0.2}, "temperature": 1.0
    }  # fmt: skip
    assert recipe.verify.as_input() == {"kind": "clip", "version": 1}
    changed = load_recipe(JUDGE_FREE, ["collect.unfinished=drop", "verify.zero=0", "collect.prompt=What is this?"])
    assert {**recipe.collect.as_input(), "unfinished": "drop", "prompt": "What is this?"} == changed.collect.as_input()
    assert changed.verify.as_input()["zero"] == 0


ASKING = {"samples": 1000, "prompt": None, "temperature": 0.0, "top_p": None, "max_tokens": 80,
          "max_thought_tokens": None, "unfinished": "sentences", "max_unfinished": 0.2}  # fmt: skip
THINNED = {"deduplicate": "none", "per_picture": None}
TRAINED = {
    "weights": "auto", "freeze": ["vision_tower"], "lora": {}, "dtype": "auto", "quantise": None, "trl": {},
    "stop_collapsed": True,
}  # fmt: skip
DEFAULTS = {
    ("collect", "controlled_hallucination", 1): {
        **ASKING, "h_ratio": {"mean": 0.5, "std": 0.15}, "share_prefix": True
    },
    ("collect", "sampling", 1): {**ASKING, "answers": 4, "endpoint": None, "served": None, "parallel": 8},
    ("collect", "greedy_and_sample", 1): {**ASKING, "temperature": 0.8, "answers": 1},
    ("collect", "contrastive", 1): {
        **ASKING, "formula": "vcd", "strength": None, "away_from": None, "cutoff": 0.1
    },
    ("collect", "distort", 1): {**ASKING, "distortion": "noise", "strength": None},
    ("collect", "beam", 1): {
        **ASKING, "temperature": 1.0, "beams": 4, "branches": 4, "diversity": 1.0, "sentences": 12
    },
    ("collect", "guided", 1): {**ASKING, "guide": STEPS, "answers": 1},
    ("collect", "bad_prompt", 1): {
        **ASKING, "good_prompt": GOOD_PROMPT, "bad_prompts": list(BAD_PROMPTS), "distorted": 0.5
    },
    ("collect", "wrong_chain", 1): {**ASKING, "temperature": 1.0, "chains": 8, "guide": STEPS},
    ("collect", "self_question", 2): {
        **ASKING, "temperature": 1.0, "answers": 4, "ask_for": ASK, "frame": None, "ending": ""
    },
    ("collect", "masked_attention", 1): {**ASKING, "first": 0.5, "last": 1.0},
    ("collect", "self_scene", 1): {**ASKING, "temperature": 1.0, "imagine": None},
    ("collect", "episodes", 1): {**ASKING, "temperature": 1.0, "max_tokens": 16, "episodes": 8},
    ("collect", "random_negative", 1): ASKING,
    ("collect", "caption_dropout", 1): {**ASKING, "drop": 0.3, "part": "sentence"},
    ("collect", "given", 1): {"samples": 1000, "prompt": None},
    ("verify", "clip", 1): {"encoder": "pictos-encoder", "aggregate": "sum", "zero": None},
    ("verify", "consistency", 1): {"reward": "share", "peer": None},
    ("verify", "likelihood", 1): {"model": "self", "per": "token"},
    ("verify", "judge", 1): {
        "model": "self", "endpoint": None, "parallel": 8, "form": "sentences", "prompt": None, "aggregate": "sum",
        "max_tokens": 64, "max_unanswered": 0.2, "price_prompt": None, "price_generated": None,
    },
    ("verify", "detector", 1): {"model": "", "threshold": 0.5, "aggregate": "f1", "synonyms": {}},
    ("verify", "ensemble", 1): {"combine": "weights", "weights": None, "units": "spread"},
    ("verify", "environment", 1): {"discount": 0.9},
    ("verify", "rule", 1): {"mark": "task", "threshold": None},
    ("verify", "format", 1): {"pattern": None},
    ("verify", "oracle", 1): {},
    ("verify", "random", 1): {},
    ("verify", "shorter", 1): {},
    ("verify", "none", 1): {},
    ("select", "pairs", 2): {
        **THINNED, "balance": False, "disagreement": "reverse", "margin": 0.0, "max_word_gap": None, "keep": 1.0
    },
    ("select", "all_pairs", 1): {
        **THINNED, "balance": False, "margin": 0.0, "each": None, "max_word_gap": None, "keep": 1.0
    },
    ("select", "survivors", 1): {**THINNED, "least": None, "each": 1, "keep": 1.0, "others": False},
    ("optimise", "dpo", 3): {
        **TRAINED, "reference": "previous", "length_normalised": False, "sft_weight": 0.0
    },
    ("optimise", "sft", 2): TRAINED,
    ("optimise", "kto", 2): {**TRAINED, "reference": "previous"},
    ("optimise", "grpo", 2): {**TRAINED, "reference": "previous"},
}  # fmt: skip


def test_a_default_that_changes_raises_its_kinds_version() -> None:
    """Stages are known without the fields at their default: under one version a default stays what it is. What `auto`
    comes to is among a stage's inputs (tests/loops/optimise/test_parts.py)."""
    frozen = {
        (slot.field, name_of(kind), kind.version): {
            name: value for name, value in kind.model_construct().model_dump(mode="json").items() if name != "kind"
        }
        for slot in SLOTS
        for kind in slot.shipped
    }
    assert frozen == DEFAULTS


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        (["verify.kind=none"], {"kind": "none"}),
        (["verify.kind=oracle", "verify.aggregate=mean"], {"kind": "oracle"}),
        (
            ["verify.kind=clip", "verify.aggregate=mean"],
            {"kind": "clip", "encoder": "pictos-encoder", "aggregate": "mean", "zero": None},
        ),
    ],
)
def test_fields_of_a_sibling_kind_are_left_out(changes: list[str], fields: dict[str, Any]) -> None:
    assert load_recipe(JUDGE_FREE, changes).verify.model_dump() == fields


def test_a_misspelt_field_is_refused_whatever_the_kind_is() -> None:
    with pytest.raises(RecipeError, match=r"there is no field 'verify\.agregate'; did you mean 'aggregate'\?"):
        load_recipe(JUDGE_FREE, ["verify.kind=none", "verify.agregate=sum"])


def test_an_unknown_kind_is_refused_by_name_in_every_slot() -> None:
    for slot in SLOTS:
        with pytest.raises(RecipeError, match=rf"field '{slot.field}\.kind' is 'new': input should be '"):
            load_recipe(JUDGE_FREE, [f"{slot.field}.kind=new"])


def test_pairs_that_are_there_are_a_kind_of_their_own() -> None:
    recipe = load_recipe(JUDGE_FREE, ["source=pairs:mine.jsonl"])
    assert recipe.collect.model_dump() == {"kind": "given", "samples": 2000, "prompt": None}
    with pytest.raises(RecipeError, match=r"collect\.kind given: pairs that are there are source=pairs:PATH"):
        load_recipe(JUDGE_FREE, ["collect.kind=given"])


def test_recipes_are_compared_as_they_are_understood() -> None:
    short = Recipe.model_validate({"name": "a"})
    assert Recipe.model_validate(short.model_dump()) == Recipe.model_validate({"name": "a", "verify": {}}) == short
    assert Recipe.model_validate({"name": "a", "verify": {"kind": "none"}}) != short

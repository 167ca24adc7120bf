"""A grid unfolds into the cells that it says, and every cell is a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import RecipeError, UsageError
from loops.grid import Grid, load_grid

RECIPE = {
    "name": "small",
    "level": "L3",
    "model": "pictos-seed",
    "rounds": 1,
    "collect": {"samples": 24},
    "optimise": {"trl": {"learning_rate": 1e-3}},
    "evaluate": {"limit": 12, "tasks": ["pictos_captions"]},
}

Unfold = Callable[..., Grid]


@pytest.fixture
def unfold(tmp_path: Path) -> Unfold:
    """The grid that varies these fields of a small recipe."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(RECIPE))

    def unfolded(vary: Any, *changes: str, **fields: Any) -> Grid:
        document = {"base": str(tmp_path / "small.yaml"), "vary": vary, **fields}
        (tmp_path / "toy.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        return load_grid(tmp_path / "toy.yaml", changes)

    return unfolded


def _kinds(grid: Grid) -> list[tuple[str, int]]:
    return [(cell.recipe.verify.kind, cell.recipe.collect.samples) for cell in grid.cells]


def test_a_grid_is_every_combination_in_the_order_written(unfold: Unfold) -> None:
    grid = unfold({"grid": {"verify.kind": ["clip", "none"], "collect.samples": [24, 48]}}, seeds=[2, 3])
    assert _kinds(grid) == [("clip", 24), ("clip", 48), ("none", 24), ("none", 48)]
    assert [dict(cell.label) for cell in grid.cells][1:3] == [
        {"verify.kind": "clip", "collect.samples": "48"},
        {"verify.kind": "none", "collect.samples": "24"},
    ]
    assert grid.cells[3].name == grid.cells[3].recipe.name == "verify.kind=none, collect.samples=48"
    assert grid.cells[3].folder == "verify.kind=none-collect.samples=48"
    assert (grid.seeds, grid.name) == ((2, 3), "toy")


def test_a_list_is_what_it_says_and_what_it_leaves_out_is_the_bases(unfold: Unfold) -> None:
    grid = unfold({"list": [{}, {"name": "coins", "verify.kind": "random"}, {"collect.samples": 48, "level": "L0"}]})
    assert _kinds(grid) == [("clip", 24), ("random", 24), ("clip", 48)]
    assert [cell.name for cell in grid.cells] == ["base", "coins", "collect.samples=48"]
    assert [cell.recipe.level for cell in grid.cells] == ["L3", "control", "L3"]
    assert [dict(cell.label) for cell in grid.cells] == [{"setting": cell.name} for cell in grid.cells]
    assert [cell.varied for cell in grid.cells] == ["base", "verify.kind=random", "collect.samples=48"]


def test_cells_may_start_from_several_recipes(unfold: Unfold) -> None:
    grid = unfold(
        {"grid": {"base": ["judge_free", "clip_rank"], "collect.samples": [24, 48]}},
        baseline={"base": "clip_rank", "collect.samples": 24},
    )
    assert [(cell.base.stem, cell.recipe.collect.kind, cell.recipe.collect.samples) for cell in grid.cells] == [
        ("judge_free", "controlled_hallucination", 24),
        ("judge_free", "controlled_hallucination", 48),
        ("clip_rank", "sampling", 24),
        ("clip_rank", "sampling", 48),
    ]
    assert dict(grid.cells[2].label) == {"base": "clip_rank", "collect.samples": "24"}
    assert grid.baseline == grid.cells[2].name == "base=clip_rank, collect.samples=24"
    assert not any("base" in change for cell in grid.cells for change in cell.changes[:-1])
    with pytest.raises(RecipeError, match=r"cell base=mine: recipe mine: no such file, and no recipe of that name"):
        unfold({"grid": {"base": ["mine"]}})


def test_cells_may_be_left_out(unfold: Unfold) -> None:
    vary = {"grid": {"verify.kind": ["clip", "none"], "collect.samples": [24, 48]}}
    left_out = {"verify.kind": "none", "collect.samples": 48}
    assert _kinds(unfold({**vary, "except": [left_out]})) == [("clip", 24), ("clip", 48), ("none", 24)]
    assert _kinds(unfold({**vary, "except": [{"verify.kind": "none"}]})) == [("clip", 24), ("clip", 48)]
    with pytest.raises(RecipeError, match=r"toy\.yaml: vary\.except leaves no cell"):
        unfold({**vary, "except": [{"collect.samples": 24}, {"collect.samples": 48}]})


def test_a_list_without_names_is_labelled_by_its_fields(unfold: Unfold) -> None:
    grid = unfold({"list": [{}, {"verify.kind": "random", "rounds": 1}]})
    assert [dict(cell.label) for cell in grid.cells] == [{"verify.kind": "clip"}, {"verify.kind": "random"}]


def test_each_entry_of_a_list_is_tried_in_every_combination_of_a_grid(unfold: Unfold) -> None:
    listed = [{"name": "encoder"}, {"name": "gold", "verify.kind": "oracle", "level": "L0"}]
    grid = unfold({"list": listed, "grid": {"collect.samples": [24, 48]}})
    assert _kinds(grid) == [("clip", 24), ("clip", 48), ("oracle", 24), ("oracle", 48)]
    assert grid.cells[3].name == "gold, collect.samples=48"
    assert dict(grid.cells[3].label) == {"setting": "gold", "collect.samples": "48"}
    assert grid.cells[3].varied == "verify.kind=oracle, collect.samples=48"


def test_one_at_a_time_is_the_base_and_single_changes(unfold: Unfold) -> None:
    grid = unfold({"one_at_a_time": {"verify.kind": ["none"], "collect.samples": [12, 24, 48]}})
    assert _kinds(grid) == [("clip", 24), ("none", 24), ("clip", 12), ("clip", 48)]
    assert [cell.name for cell in grid.cells] == [
        "base",
        "verify.kind=none",
        "collect.samples=12",
        "collect.samples=48",
    ]
    assert grid.baseline == "base"


def test_fields_in_which_no_cell_differs_are_no_label(unfold: Unfold) -> None:
    grid = unfold({"grid": {"verify.kind": ["none", "random"], "collect.samples": [48]}})
    assert [dict(cell.label) for cell in grid.cells] == [{"verify.kind": "none"}, {"verify.kind": "random"}]


def test_what_the_base_is_changed_by_holds_in_every_cell(unfold: Unfold) -> None:
    grid = unfold({"grid": {"verify.kind": ["clip", "none"]}}, "rounds=3", set={"rounds": 2, "collect.samples": 7})
    assert [(cell.recipe.rounds, cell.recipe.collect.samples) for cell in grid.cells] == [(3, 7), (3, 7)]


def test_groups_of_fields_and_small_numbers_reach_the_recipe_as_written(unfold: Unfold) -> None:
    values = [{"learning_rate": 1e-05, "beta": 0.1}, {"learning_rate": 0.001}]
    grid = unfold({"grid": {"optimise.trl": values}})
    assert [cell.recipe.optimise.trl for cell in grid.cells] == values
    assert grid.baseline == grid.cells[1].name


def test_a_cell_may_be_called_in_any_letters(unfold: Unfold) -> None:
    (cell,) = unfold({"list": [{"name": "🐈 né", "verify.kind": "none"}]}, baseline={"verify.kind": "none"}).cells
    assert cell.recipe.name == "🐈 né"


def test_the_baseline_is_the_bases_own_cell_unless_another_is_named(unfold: Unfold) -> None:
    vary = {"grid": {"verify.kind": ["none", "clip"]}}
    assert unfold(vary).baseline == "verify.kind=clip"
    assert unfold(vary, baseline={"verify.kind": "none"}).baseline == "verify.kind=none"
    assert unfold(vary, baseline="verify.kind=none").baseline == "verify.kind=none"
    assert unfold({"grid": {"verify.kind": ["none", "random"]}}).baseline is None


def test_folders_of_cells_differ_even_where_their_names_hardly_do(unfold: Unfold) -> None:
    values = ["a/b", "a b", "../../a", "x" * 200, "x" * 201]
    grid = unfold({"grid": {"verify.encoder": values}})
    folders = [cell.folder for cell in grid.cells]
    assert len({folder.casefold() for folder in folders}) == 5
    assert all("/" not in folder and not folder.startswith(".") and len(folder) < 100 for folder in folders)


VERIFIERS = {"grid": {"verify.kind": ["clip", "none"]}}


@pytest.mark.parametrize(
    ("vary", "fields", "message"),
    [
        ({}, {}, "vary takes either grid and list, one or both of them, or one_at_a_time"),
        ({**VERIFIERS, "one_at_a_time": {"rounds": [1]}}, {}, "vary takes either grid and list"),
        ({"gird": {}}, {}, "there is no field 'vary.gird'; did you mean 'grid'?"),
        ({"grid": {"rounds": []}}, {}, "field 'vary.grid.rounds' is []: list should have at least 1 item"),
        ({"grid": {"rounds": 3}}, {}, "field 'vary.grid.rounds' is 3"),
        ({"grid": {"verify.knd": ["clip"]}}, {}, "cell verify.knd=clip: recipe "),
        ({"grid": {"verify.kind": ["clip", "nun"]}}, {}, "field 'verify.kind' is 'nun'"),
        ({"grid": {"seed": [1, 2]}}, {}, "vary names 'seed'; training seeds are their own field"),
        ({"grid": {"rounds": [1, 1]}}, {}, "cells 'rounds=1' and 'rounds=1' are the same; leave one out"),
        (VERIFIERS, {"seeds": []}, "field 'seeds' is []"),
        (VERIFIERS, {"seeds": [1, 1]}, "field 'seeds' names a training seed twice"),
        (VERIFIERS, {"baseline": {"rounds": 2}}, "no cell is the baseline"),
        (VERIFIERS, {"baseline": "clip"}, "no cell is the baseline clip; there are verify.kind=clip; verify.kind=none"),
        (VERIFIERS, {"budget": {"hours": 0}}, "field 'budget.hours' is 0"),
        ({}, {"very": {"grid": {}}}, "there is no field 'very'; did you mean 'vary'?"),
        (VERIFIERS, {"budget": {"hour": 1}}, "there is no field 'budget.hour'; did you mean 'hours'?"),
        (VERIFIERS, {"show": ["CHAIRi"]}, "show CHAIRi: expected task/metric, e.g. pictos_chair/CHAIRi"),
    ],
)
def test_a_fault_is_one_line_that_names_its_field(
    unfold: Unfold, vary: Any, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        unfold(vary, **fields)
    assert message in str(caught.value)
    assert str(caught.value).startswith("grid ")
    assert "\n" not in str(caught.value)


def test_a_base_that_is_missing_is_named(unfold: Unfold, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="recipe absent: no such file, and no recipe of that name comes with Strop"):
        unfold(VERIFIERS, base="absent")
    with pytest.raises(RecipeError, match=r"grid .*none\.yaml: no such file"):
        load_grid(tmp_path / "none.yaml")

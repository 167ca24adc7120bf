"""The reserve of test pictures: a part is opened once, by one grid, and nothing else may ask it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.errors import UsageError
from harness.files import read_jsonl
from loops import reserve
from loops.documents import find_shipped
from loops.grid import load_grid
from loops.reserve import OPENINGS, digest_of_grid, open_reserve, refuse_reserve
from strop.app import app
from tasks.pictos.world import SPLITS, seeds_of

GRID = "base: judge_free\nset: {{evaluate.split: reserve-7}}\nvary: {{grid: {{verify.kind: {kinds}}}}}\n"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve, "provenance", lambda: {"dirty": False, "commit": "c0ffee"})


def grid(folder: Path, kinds: str = "[clip, none]") -> Path:
    path = folder / "mine.yaml"
    path.write_text(GRID.format(kinds=kinds))
    return path


def test_the_parts_are_disjoint_and_of_no_other_split() -> None:
    first, second = seeds_of("reserve-1"), seeds_of("reserve-2", 3)
    assert (first.stop, list(second)) == (second.start, [50_010_000, 50_010_001, 50_010_002])
    assert max(seeds.stop for seeds in SPLITS.values()) <= first.start
    with pytest.raises(UsageError, match="no split 'reserve-0'"):
        seeds_of("reserve-0")


def test_a_part_belongs_to_the_grid_that_opened_it(tmp_path: Path) -> None:
    openings = tmp_path / "openings.jsonl"
    study = load_grid(grid(tmp_path))
    with pytest.raises(UsageError, match="reserve-7 is unopened; --open-reserve opens it"):
        open_reserve(study, False, openings)
    open_reserve(study, True, openings)
    open_reserve(study, False, openings)  # the same grid goes on, or is done again
    (line,) = read_jsonl(openings)
    assert (line["split"], line["grid"], line["commit"]) == ("reserve-7", "mine", "c0ffee")
    changed = load_grid(grid(tmp_path, "[clip, random]"))
    for opening in (False, True):
        with pytest.raises(UsageError, match=r"opened on .* by grid mine .*, and this grid is another"):
            open_reserve(changed, opening, openings)


def test_a_cells_name_does_not_make_it_another_grid(tmp_path: Path) -> None:
    openings = tmp_path / "openings.jsonl"
    open_reserve(load_grid(grid(tmp_path)), True, openings)
    (tmp_path / "other.yaml").write_text(
        "base: judge_free\nset: {evaluate.split: reserve-7}\n"
        "vary: {list: [{name: with, verify.kind: clip}, {name: without, verify.kind: none}]}\n"
    )
    open_reserve(load_grid(tmp_path / "other.yaml"), False, openings)


def test_code_that_no_commit_holds_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve, "provenance", lambda: {"dirty": True})
    with pytest.raises(UsageError, match="changes that are in no commit"):
        open_reserve(load_grid(grid(tmp_path)), True, tmp_path / "openings.jsonl")
    assert not (tmp_path / "openings.jsonl").exists()


def test_a_part_that_was_opened_at_other_code_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openings, study = tmp_path / "openings.jsonl", load_grid(grid(tmp_path))
    assert [open_reserve(study, True, openings), open_reserve(study, False, openings)] == [[], []]
    for origin, now in (({"commit": "beef"}, "beef"), ({"commit": "c0ffee", "dirty": True}, "c0ffee with changes")):
        monkeypatch.setattr(reserve, "provenance", lambda origin=origin: origin)
        (note,) = open_reserve(study, False, openings)
        assert note.startswith(f"reserve-7 was opened at commit c0ffee, and the code is now {now}: if what is")


def test_grids_on_dev_and_test_open_nothing(tmp_path: Path) -> None:
    open_reserve(load_grid(grid(tmp_path), ["evaluate.split=dev"]), False, tmp_path / "openings.jsonl")
    assert not (tmp_path / "openings.jsonl").exists()


def test_neither_an_evaluation_nor_a_run_may_ask_it(tmp_path: Path) -> None:
    refuse_reserve("test", "strop eval")
    eval_words = ["eval", "--model", "pictos-seed", "--tasks", "pictos_chair", "--split", "reserve-1"]
    run_words = ["run", "judge_free", "--set", "evaluate.split=reserve-1"]
    for words in (eval_words, run_words):
        result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
        assert isinstance(result.exception, UsageError) or "one study opens, once" in result.output
        assert not (tmp_path / "out").exists()


def test_the_study_that_comes_with_strop_is_the_one_that_opened_its_part() -> None:
    study = load_grid(find_shipped("pictos", "grid"))
    opened = {line["split"]: line["digest"] for line in read_jsonl(OPENINGS)}
    assert {opened[cell.recipe.evaluate.split] for cell in study.cells} == {digest_of_grid(study)}

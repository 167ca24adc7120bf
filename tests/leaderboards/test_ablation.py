"""An ablation: every figure follows from the rows of its runs, and what is missing is said."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from scipy.stats import t

from harness.errors import DataError
from harness.results import TaskResult
from harness.runs.grids import read_grid
from harness.stats import difference, frontier_difference, holm, pooled_difference, widening
from leaderboards.ablation import AblationRow, ablate
from leaderboards.ablation_text import write_ablation
from leaderboards.costs import LoopCost, units_of
from leaderboards.paired import FRONTIER_DRAWS
from tests.support.worlds import YES_NO, captions, write_folder, write_run, yes_no

pytestmark = pytest.mark.slow

BEFORE = [1, 0] * 30
BASE = {0: [1, 1, 1, 0] * 15, 1: [1, 1, 0, 1, 0, 0] * 10}
NONE = {0: [1, 0, 0, 0] * 15, 1: [1, 1, 0, 0, 0, 0] * 10}
CELLS = {"verify.kind=clip": BASE, "verify.kind=none": NONE}


def _write(folder: Path, states: Sequence[str] = ("done",) * 4, **changed: object) -> Path:
    """A grid of two verifiers and two training seeds, as `strop grid` leaves it."""
    cells, left = [], list(states)
    for name, marks in CELLS.items():
        runs = []
        for seed, after in marks.items():
            run = f"{name}/seed-{seed}"
            if (state := left.pop(0)) == "done":
                write_run(folder / run, [_tasks(BEFORE, "a !b", "a"), _tasks(after, "a !b", f"a {'!' * seed}b")])
            runs.append({"seed": seed, "folder": run, "state": state, "why": "" if state == "done" else "it broke"})
        cells.append({"name": name, "label": {"verify.kind": name[12:]}, "varied": name, "rounds": 1, "runs": runs})
    grid = {"name": "toy", "baseline": "verify.kind=clip", "show": [], "cells": cells, **changed}
    (folder / "grid.json").write_text(json.dumps(grid))
    return folder


def _tasks(marks: Sequence[int], *texts: str) -> list[TaskResult]:
    return [yes_no(marks), captions(*texts * 10)]


def _row(rows: Sequence[AblationRow], cell: str, metric: str) -> AblationRow:
    (match,) = [row for row in rows if (row.label["verify.kind"], row.metric.name) == (cell, metric)]
    return match


def test_differences_to_seed_and_base_are_pooled_over_training_seeds(tmp_path: Path) -> None:
    row = _row(ablate(_write(tmp_path)).rows, "none", "accuracy")
    to_seed = [(yes_no(BEFORE).rows, yes_no(NONE[seed]).rows) for seed in (0, 1)]
    to_base = [(yes_no(BASE[seed]).rows, yes_no(NONE[seed]).rows) for seed in (0, 1)]
    assert row.to_seed == pooled_difference(to_seed, YES_NO)["accuracy"]
    assert row.to_base == pooled_difference(to_base, YES_NO)["accuracy"]
    assert (row.seeds, row.task, row.headline, row.cell) == ((0, 1), "quiz", True, "verify.kind=none")


def test_the_base_cell_has_no_difference_to_itself(tmp_path: Path) -> None:
    assert _row(ablate(_write(tmp_path)).rows, "clip", "accuracy").to_base is None


def test_p_is_corrected_over_cells_headlines_apart(tmp_path: Path) -> None:
    rows = ablate(_write(tmp_path)).rows
    family = {f"{row.cell} {row.task}": row.to_seed.p for row in rows if row.headline and row.to_seed.p is not None}
    assert len(family) == 5, "two cells x two tasks, and what needs no training, of captions"
    for row in rows:
        if row.headline:
            assert row.to_seed_holm == holm(family)[f"{row.cell} {row.task}"]
    against_base = [row for row in rows if row.headline and row.to_base]
    assert len(against_base) == 3
    family = {f"{row.cell} {row.task}": row.to_base.p for row in against_base if row.to_base and row.to_base.p}
    assert {f"{row.cell} {row.task}": row.to_base_holm for row in against_base} == holm(family)


def test_the_corrected_interval_is_bonferronis_of_the_family(tmp_path: Path) -> None:
    row = _row(ablate(_write(tmp_path)).rows, "none", "accuracy")
    change, corrected = row.to_base, row.to_base_corrected
    assert change is not None
    assert corrected is not None
    assert change.value is not None
    assert change.low is not None
    # three headlines: the quantile of 1 - 0.05 / 6 beside that of 1 - 0.05 / 2, of the t of two training runs
    assert change.df is not None
    growth = float(t.ppf(1 - 0.05 / 6, change.df) / t.ppf(1 - 0.05 / 2, change.df))
    assert (change.value - corrected[0]) / (change.value - change.low) == pytest.approx(growth)
    assert widening(2, None) == pytest.approx(2.2414 / 1.9600, abs=1e-4), "one run: of the normal distribution"
    alone = _row(ablate(_write(tmp_path, show=[["chair", "recall"]])).rows, "none", "recall")
    assert alone.to_base is not None
    assert alone.to_base_corrected == pytest.approx((alone.to_base.low, alone.to_base.high))


def test_metrics_that_are_not_shown_are_in_no_family(tmp_path: Path) -> None:
    rows = ablate(_write(tmp_path, show=[["chair", "recall"]])).rows
    metrics = {row.metric.name for row in rows if row.to_base_holm is not None}
    assert metrics == {"accuracy", "CHAIRi", "recall"}, "the headlines, and what is shown"
    row = _row(rows, "none", "recall")
    assert row.to_base is not None
    assert row.to_base_holm == row.to_base.p, "alone in its family"


def test_a_single_training_seed_has_one_interval(tmp_path: Path) -> None:
    ablation = ablate(_write(tmp_path, ("done", "failed") * 2))
    row = _row(ablation.rows, "none", "frontier/CHAIRi")
    before, after = captions(*("a !b", "a") * 10), captions(*("a !b", "a b") * 10)
    axes = before.metrics[1], before.metrics[2]
    frontier = frontier_difference(before.rows, after.rows, *axes, draws=FRONTIER_DRAWS)
    assert row.to_seed == frontier["frontier/CHAIRi"]
    write_ablation(tmp_path)
    text = (tmp_path / "ablation.md").read_text()
    assert "{" not in text.split("## quiz")[1]


def test_at_a_glance_a_cell_is_one_line_with_its_differences_to_the_seed_model(tmp_path: Path) -> None:
    _write(tmp_path, show=[["quiz", "accuracy"], ["chair", "words"]])
    write_ablation(tmp_path)
    lines = (tmp_path / "ablation.md").read_text().split("## At a glance")[1].split("\n## ")[0].splitlines()
    assert [line for line in lines if line.startswith("|")] == [
        "| verify.kind | runs | pairs | accuracy ↑ (quiz) | words (chair) |",
        "| --- | --- | --- | --- | --- |",
        "| seed model |  |  | 50.00 | 1.50 |",
        "| quiet, untrained | – | – | – | 0.00° \\[0.00, 0.00\\] |",
        "| clip | 2 | – | +12.50° \\[−109.47, +134.47\\] r 2.1 | +0.50° \\[+0.27, +0.73\\] r 0.0 |",
        "| none | 2 | – | −20.83° \\[−45.64, +3.98\\] r 0.8 | +0.50° \\[+0.27, +0.73\\] r 0.0 |",
    ]


def test_what_few_training_runs_cannot_star_does_not_stand_unmarked_beside_what_nobody_trained(tmp_path: Path) -> None:
    """Two runs prove no p below 1/2, the pictures of a baseline do: one has a star against the seed model, and all
    say what could not have one."""
    _write(tmp_path, show=[["chair", "words"]])
    for folder in tmp_path.glob("verify*/seed-*/round-*"):
        after = "a" if folder.name == "round-1" else "a !b"
        write_folder(folder / "eval", yes_no(BEFORE), captions(*[after] * 60), digest=folder.name)
    write_ablation(tmp_path)
    lines = (tmp_path / "ablation.md").read_text().split("## At a glance")[1].split("\n## ")[0].splitlines()
    assert [line for line in lines if "untrained" in line or "| clip" in line] == [
        "| quiet, untrained | – | – | −1.00\\*° \\[−1.00, −1.00\\] |",
        "| clip | 2 | – | −1.00° \\[−1.00, −1.00\\] |",
    ]


def test_a_cell_is_held_against_the_base_over_the_seeds_that_both_finished(tmp_path: Path) -> None:
    ablation = ablate(_write(tmp_path, ("failed", "done", "done", "done")))
    row = _row(ablation.rows, "none", "accuracy")
    assert row.seeds == (0, 1)
    assert row.to_base is not None
    assert row.to_base == difference(yes_no(BASE[1]).rows, yes_no(NONE[1]).rows, YES_NO)["accuracy"]
    assert (
        ablation.notes[0] == "verify.kind=none: held against the base over the training seeds that both finished, [1]."
    )


def test_figures_that_cannot_be_significant_are_said_to_be_so(tmp_path: Path) -> None:
    """Two training runs prove no p below 1/2, and where one is left, ten thousand draws do."""
    write_ablation(_write(tmp_path))
    text = (tmp_path / "ablation.md").read_text()
    assert "4 of 5 headlines beside the seed model are not testable: 2 training runs prove no p below 0.5" in text
    assert "not testable |" in text.split("## quiz: accuracy")[1]
    assert "2 runs, ratio 2.1" in text
    (tmp_path / "one").mkdir()
    write_ablation(_write(tmp_path / "one", ("done", "failed") * 2))
    assert "not testable" not in (tmp_path / "one" / "ablation.md").read_text()


def test_what_failed_or_was_not_run_is_in_no_figure_and_is_listed(tmp_path: Path) -> None:
    ablation = ablate(_write(tmp_path, ("done", "done", "failed", "not run")))
    assert {row.cell for row in ablation.rows} == {"quiet", "verify.kind=clip"}
    assert [(cell.name, run.seed, run.state, run.why) for cell, run in ablation.missing] == [
        ("verify.kind=none", 0, "failed", "it broke"),
        ("verify.kind=none", 1, "not run", "it broke"),
    ]
    write_ablation(tmp_path)
    assert "| verify.kind=none | 0 | failed | it broke |" in (tmp_path / "ablation.md").read_text()


def test_costs_tell_what_was_spent_from_what_was_taken_over(tmp_path: Path) -> None:
    folder = _write(tmp_path)
    ledger = folder / "verify.kind=none/seed-0/ledger.jsonl"
    line = {"stage": "round-1/select", "cost": {"seconds": 0.0}, "shared_cost": {"seconds": 60}, "facts": {"pairs": 8}}
    ledger.write_text(ledger.read_text() + json.dumps(line) + "\n")
    cost = ablate(folder).costs[1]
    assert (cost.seconds, cost.seconds_shared, cost.pairs) == (2 * 4 * 12.5, 60, 8)


def test_pairs_of_a_selection_that_was_done_again_are_not_counted(tmp_path: Path) -> None:
    folder = _write(tmp_path)
    ledger = folder / "verify.kind=none/seed-0/ledger.jsonl"
    lines = [{"stage": "round-1/select", "cost": {"seconds": 1}, "facts": {"pairs": pairs}} for pairs in (900, 8)]
    ledger.write_text(ledger.read_text() + "".join(json.dumps(line) + "\n" for line in lines))
    assert ablate(folder).costs[1].pairs == 8


def _spend(folder: Path, stage: str, cost: dict[str, float], **line: object) -> None:
    """Two more lines in the ledger of one run: a stage, first done otherwise."""
    ledger = folder / "verify.kind=none/seed-0/ledger.jsonl"
    lines = [{"stage": stage, "cost": {"seconds": 1_000}}, {"stage": stage, "cost": cost, **line}]
    ledger.write_text(ledger.read_text() + "".join(json.dumps(each) + "\n" for each in lines))


def test_a_loop_costs_what_its_stages_took_wherever_they_were_done(tmp_path: Path) -> None:
    """Each run collects twice for 12.5 seconds; what measures models is no part of it."""
    folder = _write(tmp_path)
    _spend(folder, "round-1/watch", {"seconds": 500, "forward_tokens": 5})
    _spend(folder, "round-1/verify", {"seconds": 0.0}, shared_cost={"seconds": 60, "peak_memory_mb": 1_000})
    _spend(folder, "round-1/optimise", {"seconds": 10, "estimated_flops": 6e12, "peak_memory_mb": 950})
    base, none = ablate(folder).loops
    assert base.took == {"seconds": 25, "generated_tokens": 300, "peak_memory_mb": 900}
    assert none.took == {
        "seconds": 25 + (60 + 10) / 2, "generated_tokens": 300, "estimated_flops": 3e12, "peak_memory_mb": 950
    }  # fmt: skip
    assert none.runs == 2


def test_what_is_gained_is_told_for_each_unit_that_all_cells_took(tmp_path: Path) -> None:
    folder = _write(tmp_path, show=[["quiz", "accuracy"]])
    _spend(folder, "round-1/verify", {"seconds": 10, "price": 3})
    row = _row(ablate(folder).rows, "none", "accuracy")
    assert row.to_seed.value is not None and row.to_seed.low is not None and row.to_seed.high is not None
    write_ablation(folder)
    text = (tmp_path / "ablation.md").read_text()
    minutes = (2 * 25 + 10) / 2 / 60
    value, low, high = (f"{100 * each / minutes:+.3f}".replace("-", "−") for each in
                        (row.to_seed.value, row.to_seed.low, row.to_seed.high))  # fmt: skip
    assert (
        f"| none | 0.5 | {value} \\[{low}, {high}\\] |" in text or f"| none | 0.5 | {value} [{low}, {high}] |" in text
    )
    assert "## Gain for a minute" in text and "unit of price" not in text, "the other cell costs no price"
    with (tmp_path / "cost.csv").open(newline="") as stream:
        lines = {line["cell"]: line for line in csv.DictReader(stream)}
    assert (lines["verify.kind=none"]["price"], lines["verify.kind=clip"]["price"]) == ("1.5", "")


def test_operations_are_told_in_the_largest_unit_that_a_loop_took_one_of() -> None:
    loops = [LoopCost(cell="", label={}, runs=1, took={"estimated_flops": flops}) for flops in (2.5e12, 1e12, 9e15)]
    (unit,) = units_of(loops)
    assert (unit.name, unit.several) == ("petaFLOP", "petaFLOPs")
    assert [unit.of(loop.took) for loop in loops] == [0.0025, 0.001, 9]


def test_only_the_metrics_asked_for_are_shown_and_all_are_in_the_csv(tmp_path: Path) -> None:
    _write(tmp_path, show=[["chair", "recall"]])
    write_ablation(tmp_path)
    text = (tmp_path / "ablation.md").read_text()
    assert "## chair: recall" in text
    assert "## quiz" not in text
    with (tmp_path / "ablation.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 2 * (len(YES_NO) + 6) + 4, "of two cells, and of what needs no training"
    (line,) = [entry for entry in lines if (entry["verify.kind"], entry["metric"]) == ("none", "accuracy")]
    row = _row(ablate(tmp_path).rows, "none", "accuracy")
    assert line["to_seed_value"] == f"{row.to_seed.value:.6f}"
    assert line["to_base_p_holm"] == f"{row.to_base_holm:.6f}"


def test_a_table_names_the_fields_that_differ(tmp_path: Path) -> None:
    write_ablation(_write(tmp_path))
    text = (tmp_path / "ablation.md").read_text()
    assert "## quiz: accuracy, the headline" in text
    assert (
        "| verify.kind | training seeds | accuracy ↑ | Δ to the seed model | p | Δ to the base | corrected | p |"
        in text
    )
    assert "| seed model |  | 50.00 |  |  |  |  |  |" in text


def test_cells_that_start_from_other_weights_do_not_share_a_seed_models_line(tmp_path: Path) -> None:
    _write(tmp_path)
    for seed in (0, 1):
        write_folder(tmp_path / f"verify.kind=none/seed-{seed}/round-0/eval", *_tasks([1] * 60, "a"), digest="e")
    write_ablation(tmp_path)
    text = (tmp_path / "ablation.md").read_text()
    assert "| seed model of verify.kind=clip |  | 50.00 |" in text
    assert "| seed model of verify.kind=none |  | 100.00 |" in text
    assert f"{'00abc'.ljust(12, '0')} (verify.kind=clip); {'e'.ljust(12, '0')} (verify.kind=none)" in text


def test_at_equal_recall_the_seed_model_has_no_figure_of_its_own(tmp_path: Path) -> None:
    """It is read off where its recall is the cell's, and so another beside each cell."""
    write_ablation(_write(tmp_path, show=[["chair", "frontier/CHAIRi"], ["chair", "CHAIRi"]]))
    assert "| seed model |  |  | – | 33.33 |" in (tmp_path / "ablation.md").read_text()


def test_settings_with_names_are_spelt_out_once(tmp_path: Path) -> None:
    write_ablation(_write(tmp_path))
    assert "What each cell changes" not in (tmp_path / "ablation.md").read_text()
    grid = json.loads((tmp_path / "grid.json").read_text())
    for cell, name in zip(grid["cells"], ("with", "without"), strict=True):
        cell |= {"name": name, "label": {"setting": name}, "level": "L3"}
    (tmp_path / "grid.json").write_text(json.dumps({**grid, "baseline": "with"}))
    write_ablation(tmp_path)
    assert "| without | L3 | verify.kind=none |" in (tmp_path / "ablation.md").read_text()


def test_a_folder_without_a_grid_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"grid\.json: no such file"):
        read_grid(tmp_path)
    (tmp_path / "grid.json").write_text("{}")
    with pytest.raises(DataError, match="not of this version"):
        read_grid(tmp_path)

"""The runs of a grid: side by side, within a budget, each failure told and none of them in the way of the others."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from harness.errors import RunError
from harness.forks import Starter, forked_processes, new_processes
from harness.runs.grids import read_grid
from harness.runs.watches import Reading, Watched, write_watched
from loops.grid import Grid, load_grid
from loops.ledger import hold
from loops.run_grid import Run, State, find_states, run_grid

pytestmark = pytest.mark.slow

FINISH = (
    "import sys; from pathlib import Path; folder, recipe = Path(sys.argv[1]), sys.argv[2]; "
    "last = folder / 'round-1' / 'eval'; last.mkdir(parents=True, exist_ok=True); "
    "(last / 'results.json').write_text('{}'); "
    "(folder / 'recipe.yaml').write_text(recipe)"
)
"""What a run leaves by which it is known to be finished."""

SERVER = """
import sys
from harness.forks import serve

def run(command):
    sys.argv = [command[1], *command[3:]]
    exec(command[2], {})

serve(run)
"""
"""Forks stand-ins that are no programs of their own."""

STARTERS: dict[str, Starter] = {
    "new": new_processes,
    "forked": partial(forked_processes, [sys.executable, "-c", SERVER]),
}


@pytest.fixture(params=STARTERS, autouse=True)
def starter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever starts the processes, it is the same to a grid."""
    monkeypatch.setattr(Doing, "starter", staticmethod(STARTERS[request.param]), raising=False)


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    """Three verifiers, two training seeds."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({"name": "small", "level": "L3", "rounds": 1}))
    return _load(tmp_path)


def _load(folder: Path, **fields: Any) -> Grid:
    vary = {"grid": {"verify.kind": ["clip", "none", "random"]}}
    document = {"base": str(folder / "small.yaml"), "vary": vary, "seeds": [0, 1], **fields}
    (folder / "toy.yaml").write_text(yaml.safe_dump(document))
    return load_grid(folder / "toy.yaml")


class Doing:
    """Runs a grid with stand-ins for `strop run`; keeps which were started and what was told."""

    starter: ClassVar[Starter]

    def __init__(self, out: Path, script: str = FINISH, **scripts: str) -> None:
        self.out, self.script, self.scripts = out, script, scripts
        self.started: list[str] = []
        self.reported: list[tuple[str, str]] = []
        self.most = 0

    def command(self, run: Run) -> list[str]:
        self.started.append(run.folder)
        script = self.scripts.get(run.cell.label["verify.kind"], self.script)
        return [
            sys.executable,
            "-c",
            script,
            str(self.out / run.folder),
            yaml.safe_dump(run.recipe.model_dump(mode="json")),
        ]

    def tell(self, run: Run, state: State, seconds: float) -> None:
        self.reported.append((run.folder, state.state))

    def watch(self, runs: Sequence[Run]) -> None:
        self.most = max(self.most, len(runs))

    def __call__(self, grid: Grid, jobs: int = 2) -> dict[str, State]:
        return dict(
            run_grid(grid, self.out, self.command, self.starter, jobs=jobs, on_end=self.tell, on_poll=self.watch)
        )


def test_every_cell_is_run_with_every_training_seed_seeds_last(grid: Grid, tmp_path: Path) -> None:
    doing = Doing(tmp_path / "out")
    states = doing(grid, jobs=1)
    kinds = ("clip", "none", "random")
    assert doing.started == [f"verify.kind={kind}/seed-{seed}" for seed in (0, 1) for kind in kinds]
    assert {state.state for state in states.values()} == {"done"}
    assert sorted(doing.reported) == sorted((folder, "done") for folder in doing.started)


def test_a_finished_grid_starts_nothing(grid: Grid, tmp_path: Path) -> None:
    Doing(tmp_path / "out")(grid)
    again = Doing(tmp_path / "out")
    assert {state.state for state in again(grid).values()} == {"done"}
    assert again.started == []


def test_a_run_from_before_a_field_was_added_is_still_finished(grid: Grid, tmp_path: Path) -> None:
    Doing(tmp_path / "out")(grid)
    for path in (tmp_path / "out").glob("*/*/recipe.yaml"):
        recipe = yaml.safe_load(path.read_text())
        del recipe["collect"]
        path.write_text(yaml.safe_dump(recipe))
    assert {state.state for state in find_states(grid, tmp_path / "out").values()} == {"done"}


def test_a_run_that_a_monitor_ended_is_finished(grid: Grid, tmp_path: Path) -> None:
    """Its recipe has more rounds than it came to."""
    longer = _load(tmp_path, set={"rounds": 3, "stop_when": ["collapse"]})
    Doing(tmp_path / "out")(longer)
    assert {state.state for state in find_states(longer, tmp_path / "out").values()} == {"not run"}
    fired = Reading(monitor="collapse", fired=True, why="planted", figures={})
    watched = Watched(number=1, split="dev", choice=None, readings=(fired,))
    for folder in (tmp_path / "out").glob("*/seed-0"):
        write_watched(folder / "round-1/watch/readings.json", watched)
    states = find_states(longer, tmp_path / "out")
    assert {folder.partition("/")[2]: state.state for folder, state in states.items()} == {
        "seed-0": "done", "seed-1": "not run"
    }  # fmt: skip


def test_another_recipe_is_not_finished(grid: Grid, tmp_path: Path) -> None:
    Doing(tmp_path / "out")(grid)
    again = Doing(tmp_path / "out", "pass")
    again(_load(tmp_path, set={"collect.samples": 7}))
    assert len(again.started) == 6


def test_a_failing_cell_is_told_with_its_last_line_and_the_others_go_on(grid: Grid, tmp_path: Path) -> None:
    doing = Doing(tmp_path / "out", none="print('error: no pairs'); print(); raise SystemExit(2)")
    states = doing(grid)
    failed = {folder: state for folder, state in states.items() if state.state != "done"}
    assert failed == {f"verify.kind=none/seed-{seed}": State(state="failed", why="no pairs") for seed in (0, 1)}
    assert len(doing.started) == 6
    assert find_states(grid, tmp_path / "out") == states
    again = Doing(tmp_path / "out")
    again(grid)
    assert sorted(again.started) == sorted(failed), "what failed is tried again, and nothing else"


def test_a_run_that_is_killed_says_by_what(grid: Grid, tmp_path: Path) -> None:
    states = Doing(tmp_path / "out", random="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")(grid)
    assert states["verify.kind=random/seed-0"].why == "killed by signal 9: it said nothing"


def test_runs_that_share_answers_are_not_started_together_where_others_wait(grid: Grid, tmp_path: Path) -> None:
    doing = Doing(tmp_path / "out", f"import time; time.sleep(0.5); {FINISH}")
    doing(grid)
    assert doing.started[:2] == ["verify.kind=clip/seed-0", "verify.kind=clip/seed-1"]
    assert len(set(doing.started)) == 6


def test_as_many_run_at_a_time_as_there_are_jobs(grid: Grid, tmp_path: Path) -> None:
    doing = Doing(tmp_path / "out", "import time; time.sleep(0.5)")
    doing(grid, jobs=3)
    assert doing.most == 3


@pytest.mark.parametrize(("jobs", "threads"), [(1, "None"), (2, "1")])
def test_runs_side_by_side_have_a_thread_each(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, threads: str
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    Doing(tmp_path / "out", "import os; print(os.environ.get('OMP_NUM_THREADS'))")(grid, jobs)
    assert (tmp_path / "out/logs/verify.kind=none-seed-1.log").read_text().splitlines()[-1] == threads


def test_beyond_the_budget_nothing_is_started_and_the_rest_is_told(grid: Grid, tmp_path: Path) -> None:
    small = _load(tmp_path, budget={"runs": 4})
    doing = Doing(tmp_path / "out")
    states = doing(small, jobs=1)
    assert len(doing.started) == 4
    left = [folder for folder, state in states.items() if state.state == "not run"]
    assert left == ["verify.kind=none/seed-1", "verify.kind=random/seed-1"]
    assert states[left[0]].why == "the budget of 4 runs a call is spent"
    more = Doing(tmp_path / "out")
    more(small, jobs=1)
    assert more.started == left


def test_hours_are_a_budget_too(grid: Grid, tmp_path: Path) -> None:
    doing = Doing(tmp_path / "out", f"import time; time.sleep(0.3); {FINISH}")
    states = doing(_load(tmp_path, budget={"hours": 0.2 / 3600}), jobs=1)
    assert [state.state for state in states.values()] == ["done", *["not run"] * 5]


def test_interrupted_it_stops_its_runs_and_goes_on_later(grid: Grid, tmp_path: Path) -> None:
    script = (
        "import signal, sys, time; from pathlib import Path; here = Path(sys.argv[1]); here.mkdir(parents=True)\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "try:\n    (here / 'at-work').touch(); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    (here / 'stopped').touch(); raise SystemExit(130)"
    )

    class Interrupted(Doing):
        def watch(self, runs: Sequence[Run]) -> None:
            if all((self.out / run.folder / "at-work").exists() for run in runs):
                raise KeyboardInterrupt

    doing, began = Interrupted(tmp_path / "out", script), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        doing(grid)
    assert time.monotonic() - began < 30
    assert len(doing.started) == 2
    assert all((tmp_path / "out" / folder / "stopped").exists() for folder in doing.started)
    runs = [run for cell in read_grid(tmp_path / "out").cells for run in cell.runs]
    assert [run.why for run in runs] == ["stopped", "stopped", *["not reached"] * 4]
    more = Doing(tmp_path / "out")
    assert {state.state for state in more(grid).values()} == {"done"}


def test_what_became_of_the_runs_is_filed_for_the_tables(grid: Grid, tmp_path: Path) -> None:
    Doing(tmp_path / "out", clip="raise SystemExit(3)")(grid)
    filed = read_grid(tmp_path / "out")
    assert (filed.name, filed.baseline, [cell.rounds for cell in filed.cells]) == ("toy", "verify.kind=clip", [1, 1, 1])
    assert [run.state for cell in filed.cells for run in cell.runs] == ["failed"] * 2 + ["done"] * 4
    assert filed.cells[1].runs[1].folder == tmp_path / "out/verify.kind=none/seed-1"


@pytest.mark.reported("lost")
@pytest.mark.parametrize("content", ['{"cells": [{"runs', "[]", '{"cells": [{}]}'])
def test_a_file_of_states_that_is_damaged_is_set_aside_and_the_folders_say_what_is_finished(
    grid: Grid, tmp_path: Path, content: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/grid.json").write_text(content)
    assert {state.state for state in find_states(grid, tmp_path / "out").values()} == {"not run"}
    assert (tmp_path / "out/grid.json.damaged").read_text() == content


def test_two_commands_cannot_run_one_grid(grid: Grid, tmp_path: Path) -> None:
    with hold(tmp_path / "out"), pytest.raises(RunError, match="another process is running in it"):
        Doing(tmp_path / "out")(grid)

"""What the monitors of a run read stands on the board, in the site and in `strop show`, with the best checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.runs.watches import Choice, Reading, Watched, last_evaluation, write_watched
from leaderboards.build import build_board
from leaderboards.origin import described, find_origin
from tests.support.sites import make_site
from tests.support.worlds import write_run, yes_no


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that a collapse ended after round 2; round 1 is the best on dev."""
    recipe = {"stop_when": ["collapse"], "rounds": 5}
    folder = write_run(tmp_path / "run", [[yes_no([1, 0] * 10)]] * 3, recipe=recipe)
    for number, value in enumerate((0.5, 0.75, 0.6)):
        readings = [
            Reading(monitor="collapse", fired=number == 2, why="answers are alike", figures={"words after": 1.0}),
            Reading(monitor="plateau", fired=None, why="told from round 2 on", figures={}),
        ]
        choice = Choice(task="quiz", metric="accuracy", better="higher", percent=True, value=value, n=40)
        watched = Watched(number=number, split="dev", choice=choice, readings=tuple(readings if number else ()))
        write_watched(folder / f"round-{number}/watch/readings.json", watched)
    return folder


BEST = "round 1, chosen on dev by quiz accuracy (75.0, n 40)"
STOPPED = "stopped after round 2 by stop_when: collapse (answers are alike)"


def test_the_board_has_a_line_a_round_and_a_star_at_the_best(run: Path, tmp_path: Path) -> None:
    build_board([run], tmp_path / "board")
    text = (tmp_path / "board/board.md").read_text(encoding="utf-8").replace("\\", "")
    section = text.split("## Monitors")[1].split("## Notes")[0]
    assert f"honed, training seed 0: the best checkpoint is {BEST}." in section
    assert f"honed, training seed 0: {STOPPED}." in section
    assert [line for line in section.splitlines() if line.startswith("| honed")] == [
        "| honed | 0 | 0 | quiz accuracy 50.0 | – | – |",
        "| honed | 0 | 1 | quiz accuracy 75.0 ★ | no | ? |",
        "| honed | 0 | 2 | quiz accuracy 60.0 | yes | ? |",
    ]
    assert "- honed, round 2: collapse fired: answers are alike." in text


def test_the_runs_page_has_them_too(run: Path, tmp_path: Path) -> None:
    page = (make_site(tmp_path / "site", [run]) / "run-01-honed.html").read_text(encoding="utf-8")
    assert "<h2>Monitors</h2>" in page
    assert "quiz accuracy 75.0 ★" in page
    assert "honed, round 2: collapse fired: answers are alike." in page


def test_show_says_which_checkpoint_is_the_best_and_what_ended_the_run(run: Path) -> None:
    tree = described(find_origin(str(run)))
    assert (tree["best"], tree["stopped"]) == (BEST, STOPPED)
    assert tree["monitors"]["2"]["collapse"] == {"fired": True, "why": "answers are alike"}


def test_a_run_that_ended_early_is_compared_by_its_last_round(run: Path) -> None:
    assert [last_evaluation(run, rounds) for rounds in (5, 1)] == [2, 1]


def test_a_run_that_was_not_watched_has_no_such_section(tmp_path: Path) -> None:
    run = write_run(tmp_path / "plain", [[yes_no([1, 0] * 10)]])
    build_board([run], tmp_path / "board")
    assert "Monitors" not in (tmp_path / "board/board.md").read_text(encoding="utf-8")
    assert "best" not in described(find_origin(str(run)))

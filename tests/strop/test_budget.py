"""`--budget` stops asking a server once its answers have cost so much, over all commands that resume one another."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.errors import StropError
from harness.results import read_results
from strop.app import app
from tests.support.served import served

pytestmark = pytest.mark.slow


def _eval(url: str, out: Path, *more: str) -> list[str]:
    words = ["eval", "--model", "tiny", "--endpoint", url, "--tasks", "pictos_pope", "--limit", "6", "--out"]
    return [*words, str(out), *more]


def _stopped(url: str, out: Path, *more: str) -> str:
    done = CliRunner().invoke(app, _eval(url, out, "--parallel", "1", *more))
    assert isinstance(done.exception, StropError)
    return "; ".join([str(done.exception), *done.exception.__notes__])


def test_a_budget_stops_the_command_and_a_larger_one_goes_on_from_there(tmp_path: Path) -> None:
    """Each answer takes 100 prompt tokens and 10 generated ones: at 2 and 10 of a million, 0.0003."""
    priced = ("--price", "2,10")
    with served(lambda _: "Yes") as server:
        for _ in range(2):
            assert _stopped(server.url, tmp_path, *priced, "--budget", "0.0006") == (
                f"endpoint {server.url}, model tiny: 2 answers took 0.0006 (200 prompt and 20 generated tokens), and "
                f"the budget is 0.0006; raise --budget; 2 answers are kept in {tmp_path}/answers.jsonl, the same "
                "command goes on from there"
            )
        assert "3 answers took 300 prompt and 30 generated" in _stopped(server.url, tmp_path, "--budget", "325")
        done = CliRunner().invoke(app, _eval(server.url, tmp_path, *priced, "--budget", "1"))
        assert len(server.requests) == 6, "nothing is asked twice"
    assert "all answers kept there took 0.0018 (600 prompt and 60 generated tokens)" in done.stdout
    assert read_results(tmp_path).provenance["model"]["spent"] == "0.0018 (600 prompt and 60 generated tokens)"


def test_a_budget_that_nobody_can_hold_is_refused(tmp_path: Path) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}
    untold = 200, {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    with served(lambda _: untold) as server:
        words = _stopped(server.url, tmp_path / "a", "--budget", "5")
    assert words.startswith("--budget: the server does not tell what its answers take (usage); leave --budget away;")
    local = ["eval", "--model", "pictos-seed", "--tasks", "pictos_pope", "--budget", "5", "--out", str(tmp_path / "b")]
    assert str(CliRunner().invoke(app, local).exception) == (
        "--price and --budget are of a served model; leave them away, or name its --endpoint"
    )
    wrong = _eval("http://localhost:1/v1", tmp_path / "c", "--price", "2")
    assert str(CliRunner().invoke(app, wrong).exception) == (
        "--price 2: not two prices of a million tokens; say e.g. 0.15,0.6"
    )

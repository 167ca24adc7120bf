"""Every file that docs/extending.md shows runs as printed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.files import read_jsonl
from tests.support.pages import blocks, files_shown, read_page
from tests.support.shell import Strop
from tests.support.worlds import write_run, yes_no

pytestmark = pytest.mark.slow

PAGE = read_page("docs/extending.md")
SHOWN = files_shown(PAGE)


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `my_parts` of the page."""
    folder = tmp_path / "my_parts"
    folder.mkdir()
    for name, content in SHOWN.items():
        (folder / name).write_text(content, encoding="utf-8")
    for variable in ("STROP_PLUGIN_PATH", "STROP_TASK_PATH", "STROP_DATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("STROP_PLUGIN_PATH", "")  # the command sets it for its process
    return folder


def _ledger_of_a_round(strop: Strop, parts: Path, tiny: Path, *changes: str, out: str = "run") -> Mapping[str, Any]:
    """The facts of each stage of a small round with these changes, by the stage's name."""
    small = (
        *("rounds=1", f"model={tiny}", "collect.kind=sampling", "collect.samples=12", "collect.unfinished=keep"),
        *("collect.max_unfinished=1", "select.keep=1.0", "optimise.trl.per_device_train_batch_size=4"),
        *("evaluate.tasks=[pictos_pope]", "evaluate.limit=6", "evaluate.filter=false"),
    )
    words = [word for change in (*small, *changes) for word in ("--set", change)]
    ran = strop("run", "judge_free", "--plugin-path", parts, "--out", out, "--json", *words)
    assert ran.code == 0, ran.err
    return {line["stage"]: line for line in read_jsonl(Path(out, "ledger.jsonl"))}


def test_a_file_is_at_most_thirty_lines_of_code_and_every_block_is_a_file() -> None:
    names = ["colours.py", "lamp.py", "pope_specificity.py", "distinct.py", "blurred.py", "averaged.py", "rst_table.py"]
    assert list(SHOWN) == names
    assert len(blocks(PAGE, "python")) == len(names)
    for name, content in SHOWN.items():
        lines = [line for line in content.splitlines() if line.strip()]
        assert len(lines) <= 30, name


def test_the_task_is_checked_and_asked(strop: Strop, parts: Path, tiny: Path) -> None:
    checked = json.loads(strop("check", "colours", "--plugin-path", parts, "--json").out)
    assert checked["tasks"]["colours"]["failures"] == []
    ran = strop("eval", "--model", tiny, "--tasks", "colours", "--plugin-path", parts, "--out", "out", "--json")
    assert json.loads(ran.out)["tasks"]["colours"]["accuracy"]["n"] == 40


def test_the_task_of_episodes_is_checked_and_played(strop: Strop, parts: Path, tiny: Path) -> None:
    checked = json.loads(strop("check", "lamp", "--plugin-path", parts, "--json").out)
    assert checked["tasks"]["lamp"]["failures"] == []
    ran = strop("eval", "--model", tiny, "--tasks", "lamp", "--plugin-path", parts, "--out", "out", "--json")
    assert json.loads(ran.out)["tasks"]["lamp"]["success"]["n"] == 5


def test_the_metric_has_an_interval_like_any_other(strop: Strop, parts: Path) -> None:
    words = ("--tasks", "pope_specificity", "--limit", "60", "--plugin-path", parts, "--out", "out", "--json")
    figure = json.loads(strop("eval", "--model", "pictos-seed", *words).out)["tasks"]["pope_specificity"]["specificity"]
    assert 0 < figure["low"] < figure["value"] < figure["high"] < 1


def test_the_verifier_judges_a_round(strop: Strop, parts: Path, tiny: Path) -> None:
    lines = _ledger_of_a_round(strop, parts, tiny, "verify.kind=distinct", "verify.lower=false")
    assert lines["round-1/verify"]["facts"]["verifier"] == "distinct"
    groups = read_jsonl(Path("run/round-1/verify/groups.jsonl"))
    for group in groups:
        for answer, verdict in zip(group["answers"], group["verdicts"], strict=True):
            words = answer.split()
            assert verdict["reward"] == (len(set(words)) / len(words) if words else None)


def test_the_collector_collects_a_round(strop: Strop, parts: Path, tiny: Path) -> None:
    lines = _ledger_of_a_round(strop, parts, tiny, "collect.kind=blurred", "verify.kind=none")
    assert lines["round-1/collect"]["facts"]["groups"] == 12
    assert lines["round-1/collect"]["facts"]["differing"] > 0
    assert lines["round-1/optimise"]["facts"]["changed"] > 0


def test_the_optimiser_trains_a_round_and_averages(strop: Strop, parts: Path, tiny: Path) -> None:
    for kind in ("dpo", "averaged"):
        _ledger_of_a_round(strop, parts, tiny, "verify.kind=none", f"optimise.kind={kind}", out=kind)
    old, trained, mean = (
        load_file(folder / "model.safetensors")
        for folder in (tiny, *(Path(kind, "round-1/optimise/checkpoint") for kind in ("dpo", "averaged")))
    )
    assert any(not trained[name].equal(old[name]) for name in trained)
    for name in trained:
        halfway = (old[name].float() + trained[name].float()) / 2
        torch.testing.assert_close(mean[name].float(), halfway, atol=1e-6, rtol=1e-2)


def test_the_format_is_one_of_strop_export(strop: Strop, parts: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "run", [[yes_no([1, 0] * 20)], [yes_no([1, 1] * 20)]])
    words = ("--to", "rst,csv", "--plugin-path", parts, "--out", "tables", "--json")
    files = json.loads(strop("export", tmp_path / "run", *words).out)["files"]
    assert files == ["tables/board.csv", "tables/tables.rst"]
    table = Path("tables/tables.rst").read_text(encoding="utf-8")
    assert table.startswith(".. list-table::\n   :header-rows: 1\n\n   * - run\n     - round\n     - task\n")
    assert table.count("     - quiz\n     - accuracy\n") == 2
    assert "     - 50.00%\n" in table and "     - 100.00%\n" in table


def test_a_format_that_is_nowhere_is_named_with_those_that_are(strop: Strop, parts: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "run", [[yes_no([1, 0])]])
    error = strop("export", tmp_path / "run", "--to", "odt", "--plugin-path", parts).error()
    assert error == "there is no format 'odt'; there are markdown, latex, csv, parquet, lm-eval, model-card, rst"

"""A user's mistake is one line on stderr, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from harness.types import Sample, Task
from strop import app as command_line
from tasks.pictos.benchmarks import PictosCaptions
from tests.support.shell import ROOT, Ran, Strop
from tests.support.tiny import save_tiny


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes pictos_captions ask about these pictures."""

    def shown(*pictures: Path) -> None:
        @dataclass(frozen=True, kw_only=True)
        class Shown(PictosCaptions):
            name: str = "pictos_captions"

            def samples(self, split: str) -> list[Sample]:
                return [
                    Sample(id=path.name, prompt="What do you see?", images=(path,), target=frozenset({"cat"}),
                           cluster=path.name)
                    for path in pictures
                ]  # fmt: skip

        tasks: dict[str, Callable[[], Task]] = {"pictos_captions": Shown}
        monkeypatch.setattr("tasks.registry.TASKS", tasks)

    return shown


def _written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_unknown_task_is_met_with_the_nearest_name(strop: Strop, tmp_path: Path) -> None:
    message = strop("eval", "--model", "pictos-seed", "--tasks", "pictos_pop", "--out", "out").error()
    assert message == "no task is called 'pictos_pop'; did you mean 'pictos_pope'? (`strop tasks` lists them all)"
    assert _written(tmp_path) == []


def test_no_task_at_all_is_said(strop: Strop, tmp_path: Path) -> None:
    assert strop("eval", "--model", "x", "--tasks", " ,", "--out", "out").error().startswith("--tasks names no task")
    assert _written(tmp_path) == []


def test_a_model_that_is_missing_is_named(strop: Strop, tmp_path: Path) -> None:
    message = strop("eval", "--model", "pictos-sed", "--tasks", "pictos_pope", "--out", "out").error()
    assert message.startswith("pictos-sed: no such folder; name a shipped model, a local folder or a hub id")
    assert _written(tmp_path) == []


def test_a_model_folder_without_weights_is_named(strop: Strop, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in strop("eval", "--model", "./empty", "--tasks", "pictos_pope", "--out", "out").error()
    assert _written(tmp_path) == ["empty"]


def test_an_adapter_that_is_none_is_named(strop: Strop, tiny: Path, tmp_path: Path) -> None:
    words = ("eval", "--model", tiny, "--tasks", "pictos_pope", "--adapter", "absent", "--out", "out")
    assert strop(*words).error().startswith("adapter absent: no such folder; name a folder that peft")
    assert _written(tmp_path) == []


def test_a_split_that_does_not_exist_is_named(strop: Strop, tiny: Path, tmp_path: Path) -> None:
    words = ("eval", "--model", tiny, "--tasks", "pictos_captions", "--split", "tset", "--out", "out")
    assert strop(*words).error().startswith("the embedded world has no split 'tset'")
    assert _written(tmp_path) == []


def test_an_out_that_is_a_file_is_named_before_anything_is_asked(strop: Strop, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    for words in (
        ("eval", "--model", tiny, "--tasks", "pictos_captions", "--out", "out"),
        ("run", "judge_free", "--out", "out", "--set", "verify.kind=none"),
    ):
        assert "out" in strop(*words).error()
    assert (tmp_path / "out").read_text() == "mine"


def test_a_picture_that_is_missing_is_named(
    strop: Strop, tiny: Path, tmp_path: Path, show: Callable[..., None]
) -> None:
    show(tmp_path / "absent.png")
    words = ("eval", "--model", tiny, "--tasks", "pictos_captions", "--out", "out")
    assert strop(*words).error() == f"{tmp_path}/absent.png: no such picture"
    assert _written(tmp_path) == []


def test_a_truncated_picture_is_named_and_nothing_is_written(
    strop: Strop, tiny: Path, tmp_path: Path, show: Callable[..., None]
) -> None:
    good, half = tmp_path / "good.png", tmp_path / "half.png"
    for path in (good, half):
        Image.effect_noise((64, 64), 50).save(path)
    half.write_bytes(half.read_bytes()[:2_000])
    show(good, half)
    words = ("eval", "--model", tiny, "--tasks", "pictos_captions", "--out", "out")
    assert strop(*words).error().startswith(f"{half}: does not open as a picture (")
    assert _written(tmp_path) == ["good.png", "half.png"]


def test_a_recipe_that_is_unknown_is_named(strop: Strop, tmp_path: Path) -> None:
    assert strop("run", "judge_fre", "--out", "out").error().startswith("recipe judge_fre: no such file, and no recipe")
    assert strop("run", "mine.yaml", "--out", "out").error() == "recipe mine.yaml: no such file"
    assert _written(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("collect.sampels=3", "there is no field 'collect.sampels'; did you mean 'samples'?"),
        ("rounds=many", "field 'rounds' is 'many'"),
        ("rounds", "--set rounds: expected key.sub=value"),
        ("source=pictos_caption", "no task is called 'pictos_caption'"),
        ("evaluate.tasks=[pop]", "no task is called 'pop'"),
    ],
)
def test_a_fault_of_a_recipe_is_named_by_its_field(strop: Strop, tmp_path: Path, change: str, message: str) -> None:
    assert message in strop("run", "judge_free", "--out", "out", "--set", change).error()
    assert _written(tmp_path) == []


@pytest.mark.parametrize("change", ["model=pictos-sed", "adapter=absent", "verify.encoder=absent"])
def test_what_a_recipe_names_and_is_not_there_is_named(strop: Strop, tiny: Path, change: str) -> None:
    words = ["run", "judge_free", "--out", "out", "--set", f"model={tiny}", "--set", change]
    assert change.split("=")[1] in strop(*words).error()


def test_an_option_that_does_not_exist_is_typers_to_name(strop: Strop) -> None:
    ran = strop("eval", "--modle", "x")
    assert ran.code == 2
    assert "--modle" in ran.err
    assert "Traceback" not in ran.err


def test_tasks_are_listed(strop: Strop) -> None:
    ran = strop("tasks", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["pictos_pope"]["headline"] == "macro/f1"
    assert "pictos_chair" in strop("tasks").out


def test_an_evaluation_is_printed_and_written(strop: Strop, tiny: Path, tmp_path: Path) -> None:
    words = ("eval", "--model", tiny, "--tasks", "pictos_captions", "--limit", 4, "--out", "out", "--json")
    ran = strop(*words)
    assert ran.code == 0, ran.err
    printed = json.loads(ran.out)
    assert printed["tasks"]["pictos_captions"]["f1"]["n"] == 4
    assert _written(tmp_path / "out") == ["answers.jsonl", "pictos_captions.jsonl", "results.json"]
    stored = (tmp_path / "out/answers.jsonl").read_bytes()
    shown = strop(*words[:-1])
    assert "written to out" in shown.out
    assert (tmp_path / "out/answers.jsonl").read_bytes() == stored, "the second time nothing is asked"


def test_results_of_other_weights_are_not_written_over(strop: Strop, tiny: Path, tmp_path: Path) -> None:
    other = save_tiny(tmp_path / "other", seed=2)
    words = ("--tasks", "pictos_captions", "--limit", 2, "--out", "out", "--json")
    assert strop("eval", "--model", tiny, *words).code == 0
    before = (tmp_path / "out/results.json").read_bytes()
    message = strop("eval", "--model", other, *words).error()
    assert message.startswith("out holds results of ")
    assert message.endswith("; name another --out")
    assert (tmp_path / "out/results.json").read_bytes() == before


def test_every_command_shows_how_it_is_called(strop: Strop) -> None:
    import typer.main

    def paths(command: object, *above: str) -> list[tuple[str, ...]]:
        inner: dict[str, object] = getattr(command, "commands", {})
        return [above, *(path for name, value in inner.items() for path in paths(value, *above, name))]

    entries = paths(typer.main.get_command(command_line.app))
    assert len(entries) > 20
    for path in entries:
        assert "Example" in strop(*path, "--help").out, path


def test_a_stop_is_one_line_and_not_a_traceback(strop: Strop, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(name: str, data: object) -> Task:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.registry.find_task", stopped)
    ran = strop("eval", "--model", "x", "--tasks", "pictos_pope", "--out", "out")
    assert ran.code == 130
    assert ran.err == "stopped\n", "nothing was begun, and nothing is kept"


def test_other_peoples_text_in_an_error_does_a_terminal_no_harm(strop: Strop, tmp_path: Path) -> None:
    rows = [{"question_id": f"7\x1b[31m{'A' * 9999}", "text": "no"}]
    (tmp_path / "answers.jsonl").write_text(json.dumps(rows[0]))
    (tmp_path / "coco_pope_popular.json").write_text(
        json.dumps({"question_id": 1, "image": "a.jpg", "text": "Is there a cat in the image?", "label": "no"})
    )
    truth = tmp_path / "coco_pope_popular.json"
    error = strop("score", "pope", "--answers", tmp_path / "answers.jsonl", "--truth", truth).err
    assert "question_id 7[31mAAAA" in error
    assert len(error) < 400 + 2 * len(str(tmp_path)) and error.count("\n") == 1 and "\x1b" not in error


def test_the_installed_command_does_the_same(tmp_path: Path) -> None:
    """Once in a process of its own: what users see."""
    command = [sys.executable, "-c", "from strop.app import main; main()", "run", "judge_fre", "--out", "out"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env=_environment())
    Ran(ended.returncode, ended.stdout, ended.stderr).error()
    assert _written(tmp_path) == []


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


# Grids ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def models(tiny: Path, tmp_path: Path) -> Path:
    """A grid of a model that is there and one that is not, measured and not trained."""
    recipe = {"name": "small", "level": "L3", "rounds": 0, "evaluate": {"limit": 6, "tasks": ["pictos_captions"]}}
    (tmp_path / "small.yaml").write_text(json.dumps(recipe))
    vary = {"list": [{"name": "absent", "model": "./absent"}, {"name": "tiny", "model": str(tiny)}]}
    (tmp_path / "models.yaml").write_text(json.dumps({"base": "small.yaml", "vary": vary, "seeds": [0, 1]}))
    return Path("models.yaml")


@pytest.mark.slow
def test_a_grid_reports_what_failed_and_does_the_rest(strop: Strop, models: Path, tmp_path: Path) -> None:
    ran = strop("grid", models, "--out", "out", "--jobs", 2)
    assert ran.code == 1
    assert ran.out.splitlines()[-1] == "2 done, 2 failed"
    assert "absent, training seed 0: failed: ./absent: no such folder" in ran.err
    assert "| absent | 1 | failed | ./absent: no such folder" in (tmp_path / "out/ablation.md").read_text()
    ledgers = [(tmp_path / f"out/tiny/seed-{seed}/ledger.jsonl").read_text() for seed in (0, 1)]
    assert sum("shared_cost" in ledger for ledger in ledgers) == 1, "both seeds start from one evaluation"

    table = strop("grid", models, "--out", "out", "--table-only", "--json")
    assert (table.code, table.err) == (1, ""), "nothing was tried again, and what failed still has"
    states = json.loads(table.out)["runs"]
    assert [states[f"{name}/seed-1"]["state"] for name in ("tiny", "absent")] == ["done", "failed"]


def test_a_fault_of_a_grid_is_one_line_and_nothing_is_written(strop: Strop, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("{base: judge_free, vary: {grid: {verify.kind: [nun]}}}")
    error = strop("grid", "grid.yaml", "--out", "out").error()
    assert error.startswith("grid grid.yaml, cell verify.kind=nun: recipe ")
    assert strop("grid", "absent", "--out", "out").error().startswith("grid absent: no such file, and no grid of that")
    assert _written(tmp_path) == ["grid.yaml"]


def test_a_dry_run_lists_cells_and_shared_stages_and_starts_nothing(strop: Strop, tmp_path: Path) -> None:
    plan = json.loads(strop("grid", "pictos", "--out", "out", "--set", "rounds=1", "--dry-run", "--json").out)
    assert len(plan["cells"]) == 7
    assert plan["stages"]["round-0/eval"] == {"runs": 56, "computed": 1}
    assert plan["stages"]["round-1/collect"] == {"runs": 56, "computed": 8}
    assert plan["stages"]["round-1/optimise"] == {"runs": 56, "computed": 56}
    assert _written(tmp_path) == []

"""Other people's tasks: the example of docs/extending.md runs, and what is no task is named with its file."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from harness import plugins
from harness.check import check
from harness.errors import UsageError
from harness.results import read_results
from tasks.pictos.benchmarks import PictosPope
from tasks.registry import TASKS, find_task, known_tasks
from tests.support.own_task import EXAMPLE
from tests.support.shell import Strop


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `my_tasks` of docs/extending.md."""
    (tmp_path / "my_tasks").mkdir()
    (tmp_path / "my_tasks/colours.py").write_text(EXAMPLE, encoding="utf-8")
    for name in ("STROP_PLUGIN_PATH", "STROP_DATA"):
        monkeypatch.setenv(name, "")  # the command sets it for its process
    return tmp_path / "my_tasks"


def test_the_example_of_the_docs_is_thirty_lines_and_runs(
    folder: Path, strop: Strop, tiny: Path, tmp_path: Path
) -> None:
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 30
    listed = json.loads(strop("tasks", "--plugin-path", folder, "--json").out)
    assert listed["colours"] == {"version": 1, "headline": "accuracy", "about": "Plain pictures: red or blue?"}
    checked = json.loads(strop("check", "colours", "--plugin-path", folder, "--json").out)
    assert checked["tasks"]["colours"] == {
        "checked": {"task": 1, "samples": 40, "ids": 40, "pictures": 40, "marks": 40, "gold": 40, "silence": 40},
        "failures": [],
    }
    ran = strop("eval", "--model", tiny, "--tasks", "colours", "--plugin-path", folder, "--out", "out", "--json",
                  "--device", "cpu")  # fmt: skip
    assert json.loads(ran.out)["tasks"]["colours"]["accuracy"]["n"] == 40
    assert len(read_results(tmp_path / "out").task("colours").rows) == 40


def test_the_folder_may_be_named_by_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(known_tasks()) == set(TASKS)
    monkeypatch.setenv("STROP_PLUGIN_PATH", str(folder))
    assert set(known_tasks()) == {*TASKS, "colours"}
    task = find_task("colours")
    assert check(task, task.samples("test")).failures == ()


def test_an_installed_package_offers_a_task_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.registry.TASKS", {})
    results = [
        EntryPoint(name="pictos_pope", value="tasks.pictos.benchmarks:PictosPope", group="strop.tasks"),
        EntryPoint(name="pictos_pope2", value="tasks.pictos.benchmarks:PictosPope", group="strop.tasks"),
        EntryPoint(name="gone", value="tasks.nowhere:Gone", group="strop.tasks"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry for entry in results if entry.group == group])
    assert set(known_tasks()) == {"pictos_pope", "pictos_pope2", "gone"}
    assert find_task("pictos_pope") == PictosPope()
    with pytest.raises(UsageError, match="is listed as 'pictos_pope2' and calls itself 'pictos_pope'; use one name"):
        find_task("pictos_pope2")
    with pytest.raises(UsageError, match=r"task 'gone': entry point tasks.nowhere:Gone does not load"):
        find_task("gone")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("import nothing_of_this_name", r"bad\.py: does not load \(ModuleNotFoundError: No module named"),
        ("def", r"bad\.py: does not load \(SyntaxError: "),
        ("TASKS = ['x']", r"bad\.py: TASKS must be a dictionary of name -> what makes the task"),
        ("TASKS = {'x': 1}", r"bad\.py: TASKS must be a dictionary"),
        ("TASKS = {'x': dict}", r"bad\.py: what TASKS .* calls 'x' is no task: it lacks gold, headline, max_tokens"),
        ("TASKS = {'x': lambda a: a}", r"bad\.py: task 'x' cannot be made without arguments"),
        (f"{EXAMPLE}\nTASKS = {{'x': Colours}}", r"bad\.py: the task is listed as 'x' and calls itself 'colours'"),
        (f"{EXAMPLE}\nTASKS = {{'pope': Colours}}", r"bad\.py: a task 'pope' is there already; give this one another"),
    ],
)
def test_a_file_that_offers_no_task_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    (tmp_path / "bad.py").write_text(content)
    monkeypatch.setenv("STROP_PLUGIN_PATH", str(tmp_path))
    with pytest.raises(UsageError, match=message) as caught:
        find_task("x")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_missing_is_named(strop: Strop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_PLUGIN_PATH", "")
    assert strop("tasks", "--plugin-path", "no").error().startswith("no: no such folder; --plugin-path names one")


def test_a_helper_file_without_tasks_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "helper.py").write_text("x = 1")
    monkeypatch.setenv("STROP_PLUGIN_PATH", str(folder))
    assert set(known_tasks()) == {*TASKS, "colours"}


def test_the_options_older_name_is_still_read_and_not_shown(folder: Path, strop: Strop) -> None:
    assert "colours" in json.loads(strop("tasks", "--task-path", folder, "--json").out)
    assert "--task-path" not in strop("tasks", "--help").out


def test_the_older_variable_is_read_where_the_other_is_not_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_TASK_PATH", str(folder))
    assert "colours" in known_tasks()

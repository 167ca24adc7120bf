"""Another package or folder called as one of ours is named before anything of it can break, with the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _python(folder: Path, *words: str, path: str = str(ROOT)) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def _write(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("raise RuntimeError('this is another package')\n")
    return file


@pytest.mark.parametrize("file", ["tasks/__init__.py", "harness.py", "loops/__init__.py", "leaderboards.py"])
def test_a_package_in_the_working_folder_is_named_in_one_line(tmp_path: Path, file: str) -> None:
    hiding = _write(tmp_path / file)
    ended = _python(tmp_path, "-m", "strop", "--help")
    package = file.split("/")[0].removesuffix(".py")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        f"error: {hiding} hides Strop's package '{package}'; start from another folder, or rename it\n"
    )


def test_a_package_of_another_distribution_is_named_with_its_distribution(tmp_path: Path) -> None:
    site = tmp_path / "env" / "site-packages"
    hiding = _write(site / "tasks" / "__init__.py")
    (site / "todo-1.0.dist-info").mkdir()
    (site / "todo-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: todo\nVersion: 1.0\n")
    (site / "todo-1.0.dist-info" / "top_level.txt").write_text("tasks\n")
    ended = _python(tmp_path, "-m", "strop", "tasks", path=os.pathsep.join((str(site), str(ROOT))))
    assert ended.returncode == 2
    assert ended.stderr == (
        f"error: {hiding} hides Strop's package 'tasks'; install Strop in an environment without todo\n"
    )


def test_two_packages_that_are_hidden_are_named_together(tmp_path: Path) -> None:
    tasks, loops = _write(tmp_path / "tasks.py"), _write(tmp_path / "loops.py")
    assert _python(tmp_path, "-m", "strop", "tasks").stderr == (
        f"error: {tasks} hides Strop's package 'tasks' and {loops} hides Strop's package 'loops'; "
        "start from another folder, or rename it\n"
    )


def test_a_folder_without_an_init_file_hides_nothing_of_an_ordinary_install(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    assert _python(tmp_path, "-m", "strop", "tasks", "--help").returncode == 0


def test_a_folder_without_an_init_file_is_named_where_it_precedes_an_import_hook(tmp_path: Path) -> None:
    """An editable install finds our packages by a hook, which Python asks after the folders of sys.path."""
    (tmp_path / "tasks").mkdir()
    hook = f"""
import sys
from importlib.machinery import PathFinder
class Hook:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, path or [{str(ROOT)!r}])
sys.meta_path.insert(sys.meta_path.index(PathFinder) + 1, Hook)
from strop.__main__ import main
main()
"""
    ended = _python(tmp_path, "-c", hook, path=str(tmp_path))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {tmp_path / 'tasks'} hides Strop's package 'tasks'; start from another")


@pytest.mark.parametrize("use", ["from strop import Sample", "import strop; strop.Task"])
def test_python_raises_an_import_error_with_that_line(tmp_path: Path, use: str) -> None:
    hiding = _write(tmp_path / "tasks" / "__init__.py")
    code = f"try:\n    exec({use!r})\nexcept ImportError as error:\n    print(error)"
    ended = _python(tmp_path, "-c", code)
    assert ended.stderr == ""
    assert ended.stdout == (f"{hiding} hides Strop's package 'tasks'; start from another folder, or rename it\n")


def test_ours_hide_nothing() -> None:
    from strop.hidden import hidden_packages

    assert hidden_packages() is None

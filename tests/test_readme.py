"""The README names what is there, and nothing that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import REPORTED

ROOT = Path(__file__).resolve().parents[1]
FILES = (ROOT / "README.md").read_text(encoding="utf-8").split("## Files")[1].split("## Licences")[0]
NAMED = set(re.findall(r"\b\w+\.(?:py|yaml|md|toml|txt)\b", FILES))
MODULES = {
    path
    for folder in ("harness", "tasks", "loops", "leaderboards")
    for path in (ROOT / folder).rglob("*.py")
    if path.stem not in ("__init__", "__main__")
}


HOSTS = (("pypi", "org"), ("pytorch", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("huggingface", "co"))


def test_every_module_is_in_the_file_list() -> None:
    words = set(re.findall(r"[\w-]+", FILES))
    assert sorted(str(path.relative_to(ROOT)) for path in MODULES if path.stem not in words) == []


def test_every_file_in_the_list_exists() -> None:
    there = {path.name for path in ROOT.rglob("*") if ".venv" not in path.parts}
    assert sorted(NAMED - there) == []


def test_no_file_names_a_package_index_or_model_host() -> None:
    hosts = re.compile("|".join(r"\.".join(parts) for parts in HOSTS))
    texts = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.txt"), ROOT / "Makefile", ROOT / ".ci" / "run"]
    assert [str(path) for path in texts if hosts.search(path.read_text(encoding="utf-8"))] == []


def test_the_shipped_recipe_is_short_enough_to_read() -> None:
    assert len((ROOT / "loops/recipes/judge_free.yaml").read_text(encoding="utf-8").splitlines()) <= 30


def test_the_inputs_that_people_bring_are_as_many_as_the_table_says(request: pytest.FixtureRequest) -> None:
    tried = request.config.stash.get(REPORTED, None)
    if tried is None:
        pytest.skip("counted where all tests are collected")
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## What people bring")[1].split("\n## ")[0]
    table = {kind: int(number) for kind, number in re.findall(r"^\| (\w+) \|.*\| (\d+) \|$", section, re.MULTILINE)}
    assert table == dict(tried)
    assert f"({sum(table.values()):,} in all)" in section

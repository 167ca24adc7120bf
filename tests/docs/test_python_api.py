"""The examples of docs/python-api.md run in order, as printed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import strop
from tests.support.pages import blocks, read_page

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_the_examples_of_the_python_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    for example in blocks(read_page("docs/python-api.md"), "python"):
        exec(compile(example, "docs/python-api.md", "exec"), space)
    assert set(space["verdicts"]) == {"pictos_pope", "pictos_chair"}
    assert space["again"].figures() == space["seed"].figures()
    assert len(space["captions"].answers()) == 20
    assert set(space["by_round"]["round"]) == {0, 1}
    assert space["digests"][0] != space["digests"][1]


def test_the_page_names_every_name_of_the_api_and_every_keyword() -> None:
    page = read_page("docs/python-api.md")
    assert [name for name in strop.__all__ if not re.search(rf"\b{name}\b", page)] == []
    for name, function in (("evaluate", strop.evaluate), ("compare", strop.compare), ("run", strop.run),
                           ("load_model", strop.load_model)):  # fmt: skip
        keywords = [
            each.name for each in inspect.signature(function).parameters.values() if each.kind == each.KEYWORD_ONLY
        ]
        assert re.search(rf"`strop\.{name}\([^`]*\*, {', '.join(keywords)}\)`", page), (name, keywords)


def test_readmes_five_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks(read_page("README.md"), "python")
    exec(compile(example, "README.md", "exec"), {})
    assert "pictos_pope: no difference seen" in capsys.readouterr().out
    assert len([line for line in example.splitlines() if line]) <= 5

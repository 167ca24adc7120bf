"""The examples of docs/python-api.md run in order, as printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import blocks, read_page


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

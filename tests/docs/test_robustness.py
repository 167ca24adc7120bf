"""The table of inputs that people report counts what the tests try."""

from __future__ import annotations

import re

import pytest

from tests.conftest import REPORTED
from tests.support.pages import read_page


def test_the_inputs_that_people_bring_are_as_many_as_the_table_says(request: pytest.FixtureRequest) -> None:
    tried = request.config.stash.get(REPORTED, None)
    if tried is None:
        pytest.skip("counted where all tests are collected")
    page = read_page("docs/robustness.md")
    table = {kind: int(number) for kind, number in re.findall(r"^\| (\w+) \|.*\| (\d+) \|$", page, re.MULTILINE)}
    assert table == dict(tried)
    assert f"({sum(table.values()):,} in all)" in page

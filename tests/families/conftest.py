"""The members of all families: those of `COMMON` in every run, the others where the marker `families` is asked for."""

from __future__ import annotations

import pytest

from tests.support.families import COMMON, FAMILIES
from tests.support.families.member import Member

PARAMS = [pytest.param(name, marks=() if name in COMMON else pytest.mark.families) for name in FAMILIES]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """As `-m "not families"`, beside whatever else `-m` says."""
    if "families" in config.getoption("markexpr"):
        return
    rare = [item for item in items if item.get_closest_marker("families")]
    if rare:
        config.hook.pytest_deselected(items=rare)
        items[:] = [item for item in items if item not in rare]


@pytest.fixture(scope="session", params=PARAMS)
def family(request: pytest.FixtureRequest) -> str:
    """The name of a family."""
    return str(request.param)


@pytest.fixture(scope="session")
def member(family: str) -> Member:
    """Its member; no test changes its weights."""
    return FAMILIES[family]()

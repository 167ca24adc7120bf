"""The members of all families: those of `COMMON` in every run, the others where the marker `families` is asked for.

What the tests show of each family stands in the table of docs/models.md: a run of all families writes it, every other
run is held against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StropError
from harness.models.load import load_vlm
from harness.models.vlm import Vlm
from tests.support.families import COMMON, FAMILIES, REFUSED
from tests.support.families.limits import LIMITS
from tests.support.families.member import Member
from tests.support.families.table import COLUMNS, read_table, write_table


def _rare(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in COMMON else pytest.mark.families) for name in names]


def asks_all(config: pytest.Config) -> bool:
    """Whether this run asks the members of all families, and so writes the table."""
    return "families" in config.getoption("markexpr")


def pytest_configure(config: pytest.Config) -> None:
    if asks_all(config) and not hasattr(config, "workerinput"):  # the process that all reports come to
        config.pluginmanager.register(Findings())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """As `-m "not families"`, beside whatever else `-m` says."""
    rare = [item for item in items if item.get_closest_marker("families")]
    if rare and not asks_all(config):
        config.hook.pytest_deselected(items=rare)
        items[:] = [item for item in items if item not in rare]


class Findings:
    """Gathers what the tests show, and writes the rows of the families of which they have shown every column."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, str]] = {name: {} for name in FAMILIES}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            for name, value in report.user_properties:
                if name == "finding":
                    family, column, finding = value
                    self.rows[family][column] = finding

    def pytest_sessionfinish(self) -> None:
        rows = read_table() | {family: row for family, row in self.rows.items() if set(row) == set(COLUMNS)}
        write_table({family: rows[family] for family in FAMILIES if family in rows})


class Claims:
    """What a test shows of a family, for a column of the table; it agrees with what stands there."""

    def __init__(self, family: str, record: Callable[[str, object], None], *, writes: bool) -> None:
        self.family, self._record, self._writes = family, record, writes

    def show(self, column: str, finding: str) -> None:
        self._record("finding", [self.family, column, finding])
        if not self._writes:
            assert read_table()[self.family][column] == finding

    @contextmanager
    def within_limits(self, column: str) -> Iterator[None]:
        """What follows is right ("yes"), or is refused in the words of a limit that is known."""
        if limit := LIMITS.get(self.family, {}).get(column):
            with pytest.raises(StropError, match=re.escape(limit)):
                yield
        else:
            yield
        self.show(column, f"no: {limit}" if limit else "yes")


@pytest.fixture(scope="session", params=_rare([name for name in FAMILIES if name not in REFUSED]))
def family(request: pytest.FixtureRequest) -> str:
    """The name of a family that is served."""
    return str(request.param)


@pytest.fixture(scope="session", params=_rare(list(REFUSED)))
def stranger(request: pytest.FixtureRequest) -> str:
    """The name of a family that is refused."""
    return str(request.param)


@pytest.fixture(scope="session")
def member(family: str) -> Member:
    """Its member; no test changes its weights."""
    return FAMILIES[family]()


@pytest.fixture(scope="session")
def folder(member: Member, family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The member's folder; no test writes into it."""
    return member.save(tmp_path_factory.mktemp(family))


@pytest.fixture(scope="session")
def vlm(folder: Path, family: str) -> Vlm:
    """The member as it is loaded from its folder, its pictures as its processor has them."""
    return load_vlm(family, path=folder, device="cpu", pictures="processor")


@pytest.fixture
def claims(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Claims:
    name = "family" if "family" in request.fixturenames else "stranger"
    return Claims(request.getfixturevalue(name), record_property, writes=asks_all(request.config))

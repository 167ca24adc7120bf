"""Fixtures shared by the tests."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.shell import Ran, Strop

# before any library reads them: as `strop` sets it, and a thread for each of the processes that share the tests
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPORTED = pytest.StashKey[Counter[str]]()
"""How many inputs of each kind the tests marked `reported` try; of a whole collection alone."""


SLOW = {"conformance", "tiny", "browser"}
"""Fixtures that make a test slow: published files are read, a model is asked or trained, a browser is driven."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files that are slow as a whole are not even imported where no slow test is wanted."""
    if config.getoption("markexpr") == "not slow" and collection_path.suffix == ".py":
        return "\npytestmark = pytest.mark.slow\n" in collection_path.read_text(encoding="utf-8") or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Before anything is deselected: mark what is slow by what it uses, and count."""
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    if {item.path for item in items} == set(Path(__file__).parent.rglob("test_*.py")):
        marks = [mark.args[0] for item in items for mark in item.iter_markers("reported")]
        config.stash[REPORTED] = Counter(marks)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the garbage collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()


settings.register_profile("strop", deadline=None)  # the first example may wait for a library to load
settings.register_profile("fast", settings.get_profile("strop"), max_examples=20)
settings.load_profile("strop")


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of published outputs with the figures a scorer must get from them; not part of the repository."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "conformance"
    folder = Path(os.environ.get("STROP_CONFORMANCE") or default)
    if not (folder / "expected.json").is_file():
        pytest.skip(f"no conformance data at {folder}; STROP_CONFORMANCE names another folder")
    return folder


@pytest.fixture(scope="session")
def expected(conformance: Path) -> dict[str, Any]:
    """expected.json: entry -> figures."""
    content: dict[str, Any] = json.loads((conformance / "expected.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="session")
def nltk_data(conformance: Path) -> Path:
    """NLTK finds its data in the conformance folder (unless NLTK_DATA says otherwise)."""
    from tasks.reading import text

    text.look_in(conformance / "nltk_data")
    return conformance / "nltk_data"


@pytest.fixture
def strop(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Strop:
    """`strop ...` in this process, in an empty folder."""
    from strop import app as command_line

    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["strop", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        code = ended.value.code
        printed = capfd.readouterr()
        return Ran(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small VLM of the embedded world (`tests.support.tiny`), of seed 1; no test writes into it."""
    from tests.support.tiny import save_tiny

    return save_tiny(tmp_path_factory.mktemp("tiny"), seed=1)

"""Of a damaged file is read what was written, or nothing: never another value, a traceback, or for ever."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError, StropError
from harness.files import read_json, read_jsonl
from harness.results import read_results
from harness.runs.grids import read_grid
from harness.runs.reading import read_ledger, read_recipe
from harness.runs.watches import Watched, read_readings, write_watched
from harness.store import Store
from loops.ledger import Ledger, Outcome
from tests.support.worlds import write_folder, yes_no


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """What disks and people do to a file: bits flipped, a block of zeros, an end that is missing, a piece that is
    there twice, other bytes in the middle."""
    at, length = draw(st.floats(0, 0.999)), draw(st.integers(1, 64))
    kind, noise = draw(st.sampled_from("flip zeros cut twice noise".split())), draw(st.binary(max_size=64))  # noqa: SIM905
    bit = draw(st.integers(0, 7))

    def damage(content: bytes) -> bytes:
        start = int(at * len(content))
        piece, rest = content[start : start + length], content[start + length :]
        if kind == "cut":
            return content[:start]
        changed = {
            "flip": bytes([piece[0] ^ 1 << bit]) + piece[1:],
            "zeros": bytes(len(piece)),
            "twice": piece + piece,
            "noise": noise,
        }
        return content[:start] + changed[kind] + rest

    return damage


def _stored(folder: Path) -> Any:
    return Store(folder / "answers.jsonl").answers


def _staged(folder: Path) -> Any:
    ledger = Ledger(folder)
    done = ledger.stage("a", {}, lambda _: Outcome(facts={"again": 1}, cost={}))
    return {**ledger.lines, "a": None if done.fresh else ledger.lines["a"]}


def _read_ledger(folder: Path) -> Any:
    return {line["stage"]: line for line in read_ledger(folder)}


def _results(folder: Path) -> Any:
    return {"results": read_results(folder)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_folder(folder / "results", yes_no([1, 0, 1]))
    Store(folder / "run/answers.jsonl").add({f"key {number}": [f"A cat {number}."] for number in range(4)})
    data = {"groups": 3.0}
    write_watched(folder / "watch/readings.json", Watched(number=1, split="dev", choice=None, readings=(), data=data))
    ledger = Ledger(folder / "run")
    for name in "abc":
        ledger.stage(name, {}, lambda stage: Outcome(facts={"pairs": 3}, cost={"seconds": 1.5}))
    return folder


READERS = {
    "run/answers.jsonl": _stored,
    "run/ledger.jsonl": _read_ledger,
    "run/ledger.jsonl, to go on": _staged,
    "watch/readings.json": lambda folder: {"read": read_readings(folder / "readings.json")},
    "results/results.json": _results,
    "results/quiz.jsonl": _results,
}


@pytest.mark.reported("lost")
@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages())
def test_what_is_read_of_a_damaged_file_is_what_was_written(
    whole: Path, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    shutil.copytree(whole, tmp_path / "copy")
    path, read = tmp_path / "copy" / name.partition(",")[0], READERS[name]
    before = read(path.parent)
    path.write_bytes(damage(path.read_bytes()))
    try:
        after = read(path.parent)
    except StropError as error:
        assert path.name in str(error)
        return
    assert {key: value for key, value in after.items() if value is not None}.items() <= before.items() or after == {}


@pytest.mark.parametrize("field", ['"rows": "', '"n": ', '"task": "'])
def test_a_damaged_results_file_is_named_whatever_it_says_of_its_rows(whole: Path, tmp_path: Path, field: str) -> None:
    shutil.copytree(whole / "results", tmp_path / "results")
    path = tmp_path / "results/results.json"
    before, after = path.read_text().split(field, 1)
    path.write_text(f"{before}{field}{'1' if after[0] != '1' else '2'}{after[1:]}")
    with pytest.raises(DataError, match=r"results\.json"):
        read_results(tmp_path / "results")


ELSE = {
    "grid.json": (read_grid, b'{"name": "a", "baseline": null, "show": [], "cells": []}'),
    "recipe.yaml": (read_recipe, b"name: judge-free\nseed: 3\ncollect: {kind: sampling, samples: 500}\n"),
}


@pytest.mark.parametrize("name", ELSE)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages())
def test_a_damaged_file_that_is_none_any_more_is_told(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    read, content = ELSE[name]
    (tmp_path / name).write_bytes(damage(content))
    try:
        read(tmp_path)
    except StropError as error:
        assert name in str(error)


@pytest.mark.reported("lost")
@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a": ' * 50_000, b"1" * 5_000])
def test_what_python_does_not_take_is_no_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    for read in (read_json, lambda path: list(read_jsonl(path)), lambda path: Store(_with_end(path))):
        with pytest.raises(DataError, match=r"a\.json"):
            read(tmp_path / "a.json")


def _with_end(path: Path) -> Path:
    path.write_bytes(path.read_bytes() + b"\n")
    return path

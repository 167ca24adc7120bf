"""`strop --help` fits one screen and shows the commands by what they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strop.app import PANELS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def help_lines() -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    command = [sys.executable, "-m", "strop", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()


def test_the_help_fits_a_screen_of_100_columns_and_45_lines(help_lines: list[str]) -> None:
    assert len(help_lines) <= 45
    assert max(map(len, help_lines)) <= 100


def test_the_commands_stand_in_panels_a_line_each(help_lines: list[str]) -> None:
    titles = [line.split()[1] for line in help_lines if line.startswith("╭─")]
    assert titles == ["Options", "Measure", "Hone", "Compare", "Publish"]
    commands = [name for commands in PANELS.values() for name in commands]
    rows = [line.split()[1] for line in help_lines[help_lines.index(next(x for x in help_lines if "Measure" in x)) :]
            if line.startswith("│")]  # fmt: skip
    assert sorted(rows) == sorted(commands)


def test_the_help_begins_with_examples(help_lines: list[str]) -> None:
    assert sum(line.strip().startswith("strop ") for line in help_lines) == 3

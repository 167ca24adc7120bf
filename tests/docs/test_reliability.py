"""The table of the long campaign says what its log says."""

from __future__ import annotations

import re

from tests.support.pages import read_page

KILLS = ("kill", "torn line", "kill at a time")


def _row(faults: str, others: tuple[str, ...]) -> list[int]:
    """Kills, torn lines, full disks, stops, and what else a command's last line in the log counts."""
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z ]+)", faults)}
    kinds = [counts.get(kind, 0) for kind in ("torn line", "full disk", "stop")]
    return [sum(counts.get(kind, 0) for kind in KILLS), *kinds, *map(int, others)]


def test_the_table_of_the_campaign_is_its_log() -> None:
    summary = r"^([\w -]+): (.+); (\d+) runs gone on with, (\d+) answers lost, (\d+) asked for twice$"
    rows = {
        name: _row(faults, tuple(others))
        for name, faults, *others in re.findall(summary, read_page("docs/reliability.log"), re.MULTILINE)
    }
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    section = read_page("docs/reliability.md").partition("## A campaign")[2].partition("## Damaged files")[0]
    shown = re.findall(r"^\| ([\w -]+) \| (\d[\d |]+) \|$", section, re.MULTILINE)
    assert {name: [int(number) for number in row.split(" | ")] for name, row in shown} == rows
    assert rows["all"][0] == 60
    assert rows["all"][-2:] == [0, 0]

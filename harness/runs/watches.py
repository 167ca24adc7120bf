"""What a run's monitors read after each round, and which checkpoint is the best by the figures they watch.

`strop run` writes a file a round (`loops.watching`); boards, the site and `strop show` read it here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.disks import reading
from harness.errors import DataError
from harness.files import write_bytes
from harness.lines import checked_line, line_of
from harness.runs.names import finished_rounds, watched_rounds


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one monitor reads after a round: `fired` is None where it cannot be told, `why` one sentence for people,
    `figures` its statistics by name, shares as fractions, None where there is none."""

    monitor: str
    fired: bool | None
    why: str
    figures: dict[str, float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What the best checkpoint is chosen by: a task's headline on the watched split, over `n` rows."""

    task: str
    metric: str
    better: str
    percent: bool
    value: float | None
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """A round as it was watched; round 0 is the seed model, which every reading is held against. `choice` is None
    where no task was watched that a checkpoint may be chosen by. `data` is what the round's stages counted of what it
    was trained on."""

    number: int
    split: str
    choice: Choice | None
    readings: tuple[Reading, ...] = ()
    data: dict[str, float] = field(default_factory=dict)

    @property
    def fired(self) -> list[Reading]:
        return [reading for reading in self.readings if reading.fired]


def write_watched(path: Path, watched: Watched) -> None:
    write_bytes(path, checked_line(asdict(watched)))


def read_watched(run: Path) -> dict[int, Watched]:
    """The watched rounds of a run's folder, none of any other folder; raises `DataError` naming a file that is not of
    this version."""
    return {number: read_readings(path) for number, path in watched_rounds(run).items()}


def read_readings(path: Path) -> Watched:
    """The file of one round; raises as `read_watched`."""
    with reading(path):
        line = line_of(path.read_bytes(), ("number", "split", "choice", "readings", "data"))
    if line.reason:
        raise DataError(f"{path} is not as it was written ({line.reason}); remove its folder and `strop run` again")
    raw: Any = line.entry
    try:
        return Watched(
            number=raw["number"],
            split=raw["split"],
            choice=Choice(**raw["choice"]) if raw["choice"] else None,
            readings=tuple(Reading(**reading) for reading in raw["readings"]),
            data=raw["data"],
        )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not of this version ({error!r}); remove its folder and `strop run` again"
        ) from error


def best_round(rounds: Iterable[Watched]) -> Watched | None:
    """The round whose checkpoint is the best by its choice's figure, the earliest of equals, the seed model among them;
    None where fewer than two rounds have such a figure."""
    values = [
        (-value if choice.better == "lower" else value, -watched.number, watched)
        for watched in rounds
        if (choice := watched.choice) and (value := choice.value) is not None
    ]
    return max(values, key=lambda entry: entry[:2])[2] if len(values) > 1 else None


def best_sentence(rounds: Iterable[Watched]) -> str:
    """Whose checkpoint is the best, and by what; empty where that cannot be told."""
    best = best_round(rounds)
    choice = best.choice if best else None
    if best is None or choice is None or choice.value is None:
        return ""
    figure = f"{100 * choice.value:.1f}" if choice.percent else f"{choice.value:.2f}"
    whose = "the seed model" if best.number == 0 else f"round {best.number}"
    return f"{whose}, chosen on {best.split} by {choice.task} {choice.metric} ({figure}, n {choice.n})"


def stopped_round(run: Path, stop_when: Collection[str]) -> int | None:
    """The round after which a run ends because of a monitor that `stop_when` names; None where none of them fired."""
    for number, watched in read_watched(run).items():
        if any(reading.monitor in stop_when for reading in watched.fired):
            return number
    return None


def stop_sentence(run: Path, stop_when: Collection[str]) -> str:
    """Why a run ended before its last round; empty where it did not."""
    number = stopped_round(run, stop_when)
    if number is None:
        return ""
    fired = [reading for reading in read_watched(run)[number].fired if reading.monitor in stop_when]
    why = "; ".join(f"{reading.monitor} ({reading.why})" for reading in fired)
    return f"stopped after round {number} by stop_when: {why}"


def last_evaluation(run: Path, rounds: int) -> int:
    """The last of a run's first `rounds` rounds that was measured: an earlier one where a monitor ended it."""
    return max((number for number in finished_rounds(run) if number <= rounds), default=rounds)

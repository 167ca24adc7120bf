"""The campaign: each command is disturbed again and again until it ends by itself, and held against one that was not.

A command's folder is disturbed several times before it is let through. What its store held at each end must be there at
the next, once; and the end must be that of the command that nobody disturbed.
"""

from __future__ import annotations

import fcntl
import math
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from harness.errors import RunError
from harness.wording import last_line, one_line
from strop.chaos.image import Kept, image, kept_answers
from strop.chaos.points import Fault, Kind, Shared
from strop.chaos.processes import Command
from strop.chaos.scenes import Scene
from strop.chaos.server import Counted

FAULTS: Mapping[str, int] = {"kill": 5, "torn line": 2, "full disk": 2, "kill at a time": 2, "stop": 1}
"""Each kind of fault with how often it is chosen beside the others."""

AT_POINTS: tuple[Kind, ...] = ("kill", "torn line", "full disk")

KILLS = ("kill", "torn line", "kill at a time")

MOST_DISTURBED = 6
"""Faults in one folder before it is let through."""

STOPPED = (130, -signal.SIGTERM, 0)
"""How a command ends that is asked to stop: with its word, before it could hear, or having ended just then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """A command that nobody disturbed: what it left, its operations on files, its seconds."""

    image: Mapping[str, str]
    operations: int
    seconds: float


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was done to a command and what came of it: faults by kind, folders that were gone on with to the end,
    answers that were lost or asked for twice, and each thing that is not as it should be, in a line."""

    faults: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    lost: int = 0
    twice: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.faults[kind] for kind in KILLS)

    def as_plain(self) -> dict[str, Any]:
        return {**asdict(self), "faults": dict(sorted(self.faults.items())), "kills": self.kills}


Say = Callable[[str], None]
"""Told of every fault in a line."""


def campaign(
    scenes: Sequence[Scene], server: Counted, folder: Path, *, kills: int, seed: int, say: Say
) -> dict[str, Tally]:
    """Disturb the commands in turn, below a folder, until so many kills are done. The same seed chooses the same
    faults; times of kills depend on the machine as well."""
    chance = random.Random(seed)
    wholes = {scene.name: _undisturbed(scene, folder, say) for scene in scenes}
    tallies = {scene.name: Tally() for scene in scenes}
    for number, scene in enumerate(cycle(scenes), start=1):
        left = kills - sum(tally.kills for tally in tallies.values())
        if left <= 0:
            break
        below = folder / f"{number}-{scene.name.replace(' ', '-')}"
        most = min(left, math.ceil(kills / len(scenes)))
        _disturb(scene, wholes[scene.name], server, below, tallies[scene.name], most, chance, say)
    return tallies


def _undisturbed(scene: Scene, folder: Path, say: Say) -> Whole:
    below = folder / f"whole-{scene.name.replace(' ', '-')}"
    below.mkdir(parents=True)
    shared, began = Shared(below / "counts"), time.monotonic()
    log = below / "log.txt"
    code = Command(scene.words(below / "out"), below / "out", log, shared, None).end()
    if code != 0:
        raise RunError(f"the {scene.name} ends with {code} by itself ({last_line(_text(log))}); mend that first")
    seconds = time.monotonic() - began
    say(f"{scene.name}: undisturbed {shared.operations} operations on files, {seconds:.1f} s")
    return Whole(image=image(below / "out"), operations=shared.operations, seconds=seconds)


def _disturb(
    scene: Scene, whole: Whole, server: Counted, below: Path, tally: Tally, kills: int, chance: random.Random, say: Say
) -> None:
    """One folder: disturbed at most `MOST_DISTURBED` times and by so many kills, then let through."""
    below.mkdir(parents=True)
    out, kept, operations = below / "out", Kept(), 0
    for turn in range(MOST_DISTURBED + 1):
        let_through = turn == MOST_DISTURBED or kills <= 0
        kind = "" if let_through else chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        at = chance.randint(1, max(whole.operations - operations, whole.operations // 4))
        share, moment = chance.random(), chance.uniform(0, whole.seconds)
        fault = Fault(kind=kind, at=at, share=share) if kind in AT_POINTS else None
        shared, log, before = Shared(below / f"counts-{turn}"), below / f"log-{turn}.txt", server.requests
        command = Command(scene.words(out), out, log, shared, fault)
        if kind in ("kill at a time", "stop") and command.end(moment) is None:
            command.kill_all() if kind == "kill at a time" else command.send(signal.SIGTERM)
        code = command.end()
        _wait_for_locks(out)
        now = kept_answers(out)
        tally.lost += len(kept.lines - now.lines)
        tally.twice += now.twice - kept.twice
        where = f"operation {at}" if fault else f"{moment:.1f} s" if kind else ""
        came = bool(kind) and code != 0
        if came:
            tally.faults[kind] += 1
            kills -= kind in KILLS
        say(f"{below.name}, call {turn + 1}: {f'{kind} at {where}, ' if kind else ''}ended with {code}, "
            f"{len(now.lines)} answers kept")  # fmt: skip
        tally.wrong += [f"{below.name}, call {turn + 1}, {kind} at {where}: {fault}"
                        for fault in _faults_of_end(kind, code, log)]  # fmt: skip
        if code == 0:
            if scene.is_served:
                tally.twice += server.requests - before - (len(now.lines) - len(kept.lines))
            break
        kept, operations = now, operations + shared.operations
    tally.resumed += turn > 0
    tally.wrong += [f"{below.name}: {line}" for line in _differences(whole.image, out)]


def _faults_of_end(kind: str, code: int | None, log: Path) -> Iterator[str]:
    """What a command's end should not be, after a fault of a kind or none."""
    text = _text(log)
    if "Traceback" in text:
        yield f"a traceback: {last_line(text)}"
    if not kind and code != 0:
        yield f"undisturbed it ends with {code}: {last_line(text)}"
    if kind == "stop" and code not in STOPPED:
        yield f"stopped it ends with {code}: {last_line(text)}"
    if kind == "full disk" and (code is None or code < 0):
        yield f"without room it ends with {code}"


def _differences(whole: Mapping[str, str], out: Path) -> list[str]:
    try:
        left = image(out)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
        return [f"cannot be read: {type(error).__name__}: {one_line(str(error))}"]
    names = sorted(name for name in {*whole, *left} if whole.get(name) != left.get(name))
    return [f"{name} is not that of the undisturbed command" for name in names]


def _wait_for_locks(folder: Path) -> None:
    """Until every process that held one is gone: a killed one may take a moment to let go."""
    for path in folder.rglob(".lock"):
        with path.open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

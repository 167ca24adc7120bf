"""What the monitors of runs read, as a section of a page: a line a round, and which checkpoint is the best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.runs.reading import Run
from harness.runs.watches import Choice, Watched, best_round, best_sentence, stop_sentence
from harness.types import Metric
from leaderboards.render import NOTHING, Section, Table, figure

WORDS = (
    "What was watched after every round, on pictures of a split that is not reported. A monitor fired (yes), did not "
    "(no), or cannot tell (?); why stands in the notes. Each goes by a rule of its own at 95 %, so that some alarms "
    "are false. ★ is the best checkpoint of its run by the figure in that column, which test pictures have no part in."
)

_SHOWN = {True: "yes", False: "no", None: "?"}


def monitor_sections(runs: Sequence[tuple[str, Run]]) -> list[Section]:
    """One section of all runs that were watched, each with the name that the board gives it; none where none was."""
    watched = [(name, run) for name, run in runs if run.watched]
    if not watched:
        return []
    monitors = _monitors(each for _, run in watched for each in run.watched.values())
    lines = []
    for name, run in watched:
        best = best_round(run.watched.values())
        for number, each in run.watched.items():
            lines.append((name, run.seed or NOTHING, str(number), _chosen(each, best), *_cells(each, monitors)))
    heading = ("run", "seed", "round", "best by", *(monitor.replace("_", " ") for monitor in monitors))
    words = [
        f"{name}, training seed {run.seed}: {sentence}." for name, run in watched for sentence in sentences_of(run)
    ]
    return [Section(title="Monitors", words=(WORDS, *words), table=Table(heading=heading, lines=tuple(lines)))]


def sentences_of(run: Run) -> list[str]:
    """Which checkpoint of a run is the best, and why it ended early if it did."""
    best = best_sentence(run.watched.values())
    stopped = stop_sentence(run.folder, run.recipe.get("stop_when") or ())
    return [*([f"the best checkpoint is {best}"] if best else []), *([stopped] if stopped else [])]


def monitor_notes(name: str, run: Run) -> list[str]:
    """A note for each monitor that fired."""
    return [
        f"{name}, round {number}: {reading.monitor.replace('_', ' ')} fired: {reading.why}."
        for number, each in run.watched.items()
        for reading in each.fired
    ]


def _monitors(rounds: Iterable[Watched]) -> list[str]:
    return list(dict.fromkeys(reading.monitor for each in rounds for reading in each.readings))


def _cells(watched: Watched, monitors: Iterable[str]) -> list[str]:
    fired = {reading.monitor: _SHOWN[reading.fired] for reading in watched.readings}
    return [fired.get(monitor, NOTHING) for monitor in monitors]


def _chosen(watched: Watched, best: Watched | None) -> str:
    choice = watched.choice
    if choice is None:
        return NOTHING
    star = " ★" if watched is best else ""
    return f"{choice.task} {choice.metric} {figure(choice.value, _metric(choice))}{star}"


def _metric(choice: Choice) -> Metric:
    return Metric(name=choice.metric, better=choice.better, percent=choice.percent)

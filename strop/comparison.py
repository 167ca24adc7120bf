"""Compares two sets of marked answers sample by sample: `strop compare`, and `strop.compare` in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strop.evaluation import Evaluation

if TYPE_CHECKING:
    from harness.results import Results
    from harness.tables import Frame

Side = str | Path | Evaluation
"""An evaluation, or what names one: a results folder, a run (its last round), RUN:2, digits of a weights digest."""

COLUMNS = (
    *("task", "metric", "headline", "verdict", "a", "b", "value", "low", "high", "p", "p_holm", "n", "detectable"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Whether B is better than A. `report` is what `strop compare --json` prints; its figures are fractions."""

    report: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """The whole comparison in one sentence."""
        return str(self.report["sentence"])

    @property
    def verdicts(self) -> dict[str, str | None]:
        """Task -> the verdict on its headline: better, worse, no difference seen, ...; None where not compared."""
        return {task["task"]: task["verdict"] for task in self.report["tasks"]}

    def frame(self) -> Frame:
        """The differences, B minus A, as a pandas frame with a row a metric."""
        from harness.tables import frame_of

        return frame_of(
            (
                {
                    "task": task["task"],
                    "metric": name,
                    "headline": name == task["headline"],
                    **{column: figure[column] for column in COLUMNS[3:]},
                }
                for task in self.report["tasks"]
                for name, figure in task["metrics"].items()
            ),
            COLUMNS,
        )


def compare(
    a: Side | Sequence[Side],
    b: Side | Sequence[Side],
    *,
    margins: float | Mapping[str, float] | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two sets of answers sample by sample and say whether B is better.

    A side is an `Evaluation`, a folder or a name of one; several are one for each training seed. `margins` asks whether
    B is not worse by so many points, on each task's headline or on the metrics that a mapping names. `draws` are the
    bootstrap's (10,000, or more where many figures are corrected together), `seed` is its seed.

    Raises `harness.errors.DataError` where no task can be compared.

    Example:
        >>> import strop
        >>> seed = strop.evaluate("pictos-seed", "pictos_pope", limit=360)
        >>> comparison = strop.compare(seed, seed)
        >>> comparison.verdicts
        {'pictos_pope': 'no difference seen'}
        >>> len(comparison.frame().query("value != 0"))
        0
    """
    from leaderboards.verdicts import HEADLINE, compare_results

    sides = {"a": _results(a), "b": _results(b)}
    report = compare_results(
        *([results for _, results in side] for side in sides.values()),
        draws=draws,
        seed=seed,
        margins={HEADLINE: margins} if isinstance(margins, int | float) else margins,
    )
    return Comparison(report={**report, **{name: [_about(*each) for each in side] for name, side in sides.items()}})


def _results(side: Side | Sequence[Side]) -> list[tuple[Path | None, Results]]:
    """Each results folder of a side with what it holds; an evaluation that was not written has no folder."""
    from harness.results import read_results
    from strop.commands.compare import find_seeds

    if isinstance(side, Evaluation):
        return [(side.folder, side.results)]
    if isinstance(side, str | Path):
        return [(folder, read_results(folder)) for folder in find_seeds(str(side))]
    return [results for each in side for results in _results(each)]


def _about(folder: Path | None, results: Results) -> dict[str, Any]:
    return {
        "folder": str(folder) if folder else None,
        "model": results.model,
        "digest": results.digest,
        "digest_of": results.digest_of,
    }

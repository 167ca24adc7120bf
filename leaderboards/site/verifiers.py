"""The verifiers' page: whether higher rewards went to better answers, judged afterwards by the oracle's marks.

The unit is a pair of answers to one picture, since that is what a verifier decides about: does a higher reward mean a
better answer?
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from harness.errors import StropError
from harness.files import read_jsonl
from harness.profiles import scorer_of
from harness.runs.names import judged_rounds
from harness.stats.areas import Interval, Roc, mean_of, roc
from leaderboards.charts import Curve, Drawing, Point, Series, rounds_drawing, unit_square
from leaderboards.render import NOTHING
from leaderboards.site.folder import Chart, SiteFolder
from leaderboards.site.run import RunPage
from leaderboards.site.samples import Questions

FindPool = Callable[[Path, int], Questions]
"""Run folder and round -> the training samples that the round collected on. Raises a `StropError` where they are not at
hand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A verifier's rewards of one round against the oracle's marks.

    `pairs` are answers to one picture that both have a reward, `told_apart` those that the oracle marks differently.
    `gap` is the mean distance of their rewards, in the verifier's own unit; `worth` the mean mark of the answer with
    the higher reward minus that of the other. None where there is no such pair.
    """

    groups: int
    pairs: int
    told_apart: int
    roc: Roc | None
    gap: Interval | None
    worth: Interval | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    run: str
    href: str
    verifier: str
    round: int
    trial: Trial | None
    missing: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Panel:
    title: str
    href: str
    charts: tuple[Chart, ...]


def try_verifier(path: Path, questions: Questions) -> Trial:
    """Compare the rewards of a round's file with the marks of the task that the answers were given to."""
    gaps, marks, groups = [], [], []
    number = -1
    for number, row in enumerate(read_jsonl(path)):
        sample = questions.samples[row["id"]]
        rewards = [verdict["reward"] for verdict in row["verdicts"]]
        rewarded = [
            (reward, answer) for reward, answer in zip(rewards, row["answers"], strict=False) if reward is not None
        ]
        scored = [(reward, scorer_of(questions.task)(sample, answer).value) for reward, answer in rewarded]
        for (reward_a, mark_a), (reward_b, mark_b) in combinations(scored, 2):
            gaps.append(reward_a - reward_b)
            marks.append(mark_a - mark_b)
            groups.append(number)
    gap, mark, group = np.array(gaps), np.array(marks), np.array(groups, dtype=np.int64)
    apart = mark != 0
    return Trial(
        groups=number + 1,
        pairs=len(gaps),
        told_apart=int(apart.sum()),
        roc=roc(gap[apart], mark[apart] > 0, group[apart]) if apart.any() else None,
        gap=mean_of(np.abs(gap), group) if gaps else None,
        worth=mean_of(np.sign(gap) * mark, group) if gaps else None,
    )


def write_verifiers(folder: SiteFolder, pages: Sequence[RunPage], find_pool: FindPool) -> None:
    """Write verifiers.html: a line a round, the verifiers beside each other, and each run over its rounds."""
    tried = {page.slug: _tried(page, find_pool) for page in pages}
    kinds: dict[str, Trial] = {}
    for page in pages:
        for trial in tried[page.slug].values():
            if not isinstance(trial, str) and trial.roc:
                kinds.setdefault(page.entry.run.verifier, trial)
    lines = [
        _Line(run=page.title, href=page.href, verifier=page.entry.run.verifier, round=number,
              trial=None if isinstance(trial, str) else trial, missing=trial if isinstance(trial, str) else "")
        for page in pages for number, trial in tried[page.slug].items()
    ]  # fmt: skip
    folder.page(
        "verifiers.html",
        "verifiers.html.jinja",
        lines=lines,
        words=in_words,
        overview=_roc_chart(folder, "verifiers", kinds, "ROC: a run of each verifier") if len(kinds) > 1 else None,
        panels=[
            _Panel(title=page.title, href=page.href, charts=tuple(charts))
            for page in pages
            if (charts := list(_charts(folder, page, tried[page.slug])))
        ],
    )


def _tried(page: RunPage, find_pool: FindPool) -> dict[int, Trial | str]:
    """A run's trials by round; in the place of one that cannot be held, the reason."""
    trials: dict[int, Trial | str] = {}
    for number, path in judged_rounds(page.entry.run.folder).items():
        try:
            trials[number] = try_verifier(path, find_pool(page.entry.run.folder, number))
        except StropError as error:
            trials[number] = str(error)
        except KeyError as error:
            trials[number] = f"the training pool at hand does not hold {error}"
    return trials


def _charts(folder: SiteFolder, page: RunPage, tried: Mapping[int, Trial | str]) -> Iterable[Chart]:
    trials = {number: trial for number, trial in tried.items() if not isinstance(trial, str)}
    curves = {f"round {number}": trial for number, trial in trials.items() if trial.roc}
    if curves:
        yield _roc_chart(folder, f"verifier-{page.slug}-roc", curves, "ROC against the oracle's marks")
    for name, title in (("gap", "mean gap of rewards"), ("worth", "worth of its choice, in marks")):
        intervals = {number: figure for number, trial in trials.items() if (figure := getattr(trial, name))}
        if intervals:
            points = [
                Point(round=number, value=figure.value, low=figure.low, high=figure.high)
                for number, figure in intervals.items()
            ]
            words = "; ".join(f"round {number}: {in_words(figure)}" for number, figure in intervals.items())
            drawing = rounds_drawing([Series(style=0, points=points)])
            yield folder.chart(f"verifier-{page.slug}-{name}", drawing, title=title, words=f"{title}. {words}.")


def _roc_chart(folder: SiteFolder, name: str, trials: Mapping[str, Trial], title: str) -> Chart:
    curves, words = [], []
    for style, (label, trial) in enumerate(trials.items()):
        if trial.roc:
            curves.append(Curve(name=label, style=style, x=trial.roc.x.tolist(), y=trial.roc.y.tolist()))
            words.append(f"{label}: area {in_words(trial.roc.area)}")
    drawing: Drawing = unit_square(curves, x="worse answers preferred", y="better answers preferred")
    return folder.chart(name, drawing, title=title, words=f"{title}. {'; '.join(words)}.")


def in_words(figure: Interval | None) -> str:
    """0.712 [0.690, 0.734]."""
    if figure is None:
        return NOTHING
    bounds = "" if figure.low is None else f" [{figure.low:.3f}, {figure.high:.3f}]"
    return f"{figure.value:.3f}{bounds}".replace("-", "−")

"""A grid's page: what each cell came to beside the model it started from, and beside the base cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.stats import Corrected, Difference
from harness.types import Metric
from leaderboards.ablation import Ablation, AblationRow
from leaderboards.ablation_text import (
    DIGITS,
    ablation_csv,
    caption,
    cost_sections,
    missing_section,
    overview_section,
    settings_section,
)
from leaderboards.render import Cell, arrow, interval
from leaderboards.site.cells import Figure, shown
from leaderboards.site.folder import Chart, SiteFolder
from leaderboards.site.forests import forest_chart


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    label: tuple[str, ...]
    seeds: str
    base: bool
    to_seed: Figure
    to_base: Figure
    corrected: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Panel:
    title: str
    charts: tuple[Chart, ...]
    lines: tuple[_Line, ...]


def write_ablation(folder: SiteFolder, href: str, ablation: Ablation) -> None:
    """Write the page of a grid, a part for each metric that its tables show, and all its figures as CSV beside it."""
    metrics: dict[tuple[str, str], list[AblationRow]] = {}
    for row in ablation.rows:
        if row.shown:
            metrics.setdefault((row.task, row.metric.name), []).append(row)
    stem = href.removesuffix(".html")
    folder.text(f"{stem}.csv", ablation_csv(ablation))
    folder.page(
        href,
        "ablation.html.jinja",
        name=ablation.grid.name,
        csv=f"{stem}.csv",
        caption=caption(ablation),
        fields=list(ablation.grid.cells[0].label) if ablation.grid.cells else [],
        panels=[
            _panel(folder, f"{stem}-{number}", ablation, rows) for number, rows in enumerate(metrics.values(), start=1)
        ],
        overview=overview_section(ablation, list(metrics.values())) if metrics else None,
        sections=[
            *settings_section(ablation),
            *cost_sections(ablation, list(metrics.values())),
            *([missing_section(ablation)] if ablation.missing else []),
        ],
        notes=ablation.notes,
    )


def _panel(folder: SiteFolder, name: str, ablation: Ablation, rows: Sequence[AblationRow]) -> _Panel:
    metric = rows[0].metric
    title = f"{rows[0].task}: {metric.name}{arrow(metric)}{', the headline' if rows[0].headline else ''}"
    charts = (
        forest_chart(
            folder, f"{name}-seed", [(_called(row.label), _to_seed(row)) for row in rows],
            title="Beside the seed model", minus="last round minus seed",
        ),
        forest_chart(
            folder, f"{name}-base", [(_called(row.label), _to_base(row)) for row in rows],
            title=f"Beside {ablation.grid.baseline}", minus="cell minus base",
            corrected=[row.to_base_corrected for row in rows],
        ),
    )  # fmt: skip
    return _Panel(
        title=title,
        charts=tuple(chart for chart in charts if chart),
        lines=tuple(
            _Line(
                label=tuple(row.label.values()),
                seeds=" ".join(map(str, row.seeds)),
                base=row.cell == ablation.grid.baseline,
                to_seed=shown(_to_seed(row), DIGITS),
                to_base=shown(_to_base(row), DIGITS),
                corrected=interval(*row.to_base_corrected, metric, signed=True, digits=DIGITS)
                if row.to_base_corrected
                else "",
            )
            for row in rows
        ),
    )


def _to_seed(row: AblationRow) -> Cell:
    return _cell(row.metric, row.to_seed, row.to_seed_result)


def _to_base(row: AblationRow) -> Cell:
    return _cell(row.metric, row.to_base, row.to_base_result)


def _cell(metric: Metric, difference: Difference | None, result: Corrected | None) -> Cell:
    if result is None:
        return Cell(metric=metric, estimate=None, difference=difference)
    return Cell(metric=metric, estimate=None, difference=difference, holm=result.p, testable=result.testable)


def _called(label: Mapping[str, str]) -> str:
    return ", ".join(label.values())

"""A board in few columns, for a paper (LaTeX with booktabs) and for a README (Markdown): a table for each task.

The headline stands with its difference to round 0, and its companions (words and recall beside a hallucination rate)
after it. A difference is bold only where p < 0.05 after Holm's correction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.files import write_text
from harness.types import Metric
from leaderboards.formats.kinds import Figures, Format
from leaderboards.render import NOTHING, Board, Cell, TaskView, arrow, figure, md, who

SIGNIFICANT = 0.05

_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after a line's end it would be taken for an option
    "−": "$-$",
    "–": "--",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Text:
    """A cell: its words, the ends of the interval that stands smaller beside them, and whether they are bold."""

    words: str
    ends: tuple[str, str] | None = None
    bold: bool = False


def latex(board: Board) -> str:
    """The tables, each in a `table` environment; the document needs the package booktabs."""
    parts = ["% in the preamble: \\usepackage{booktabs}"]
    for task in board.tasks:
        heading, lines = _table(board, task)
        columns = "".join("l" if name in ("run", "seed", "round") else "r" for name in heading)
        parts += [
            "\n".join(
                (
                    r"\begin{table}",
                    r"  \centering",
                    rf"  \caption{{{_tex(_caption(board, task, 'Small, above and below,'))}}}",
                    rf"  \begin{{tabular}}{{{columns}}}",
                    r"    \toprule",
                    _tex_line([_tex(name) for name in heading]),
                    r"    \midrule",
                    *(_tex_line([_tex_cell(cell) for cell in line]) for line in lines),
                    r"    \bottomrule",
                    r"  \end{tabular}",
                    r"\end{table}",
                )
            )
        ]
    return "\n\n".join(parts) + "\n"


def markdown_tables(board: Board) -> str:
    """The same tables for a README."""
    parts = []
    for task in board.tasks:
        heading, lines = _table(board, task)
        rows = [[md(name) for name in heading], ["---"] * len(heading)]
        rows += [[_md_cell(cell) for cell in line] for line in lines]
        parts += ["\n".join("| " + " | ".join(row) + " |" for row in rows), md(_caption(board, task, "In brackets"))]
    return "\n\n".join(parts) + "\n"


def _caption(board: Board, task: TaskView, ends: str) -> str:
    means, apart = "", ""
    if any(row.pooled for row in board.rows):
        means, apart = ", of means over training seeds and pictures", ", means apart"
    return (
        f"{task.label}: version {task.version}, profile {task.profile}, split {task.split}; rates in percent. {ends} "
        f"95 % intervals over pictures{means}. Δ is the difference to round 0 of the same run, paired by sample; bold "
        f"where p < {SIGNIFICANT} after Holm's correction for all headline differences of the board{apart}."
    )


def _table(board: Board, task: TaskView) -> tuple[list[str], list[list[_Text]]]:
    """Heading and lines; columns that are empty in every line are left out."""
    heading = ["run", "seed", "round", "n", task.headline.name + arrow(task.headline), "Δ"]
    heading += [metric.name + arrow(metric) for metric in task.shown[1:]]
    lines = []
    for row in board.rows:
        cells = [row.cells.get((task.label, metric.name)) for metric in task.shown]
        if any(cells):
            head = [*who(row), _samples(cells[0])]
            lines.append([*map(_plain, head), _estimate(cells[0]), _difference(cells[0]), *map(_estimate, cells[1:])])
    kept = [column for column in range(len(heading)) if any(line[column].words != NOTHING for line in lines)]
    return [heading[column] for column in kept], [[line[column] for column in kept] for line in lines]


def _plain(words: str) -> _Text:
    return _Text(words=words)


def _samples(cell: Cell | None) -> str:
    result = cell and (cell.estimate or cell.difference)
    return str(result.n) if result else NOTHING


def _estimate(cell: Cell | None) -> _Text:
    if cell is None:
        return _Text(words=NOTHING)
    if cell.estimate is None:
        return _Text(words=figure(cell.difference.b if cell.difference else None, cell.metric))
    return _figure(cell.metric, cell.estimate.value, cell.estimate.low, cell.estimate.high)


def _difference(cell: Cell | None) -> _Text:
    if cell is None or cell.difference is None:
        return _Text(words=NOTHING)
    difference = cell.difference
    text = _figure(cell.metric, difference.value, difference.low, difference.high, signed=True)
    return replace(text, bold=cell.holm is not None and cell.holm < SIGNIFICANT)


def _figure(
    metric: Metric, value: float | None, low: float | None, high: float | None, *, signed: bool = False
) -> _Text:
    has_interval = low is not None and high is not None
    ends = (figure(low, metric, signed=signed), figure(high, metric, signed=signed)) if has_interval else None
    return _Text(words=figure(value, metric, signed=signed), ends=ends)


def _tex_line(cells: Sequence[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _tex_cell(cell: _Text) -> str:
    if cell.ends is None:
        return rf"\textbf{{{_tex(cell.words)}}}" if cell.bold else _tex(cell.words)
    words, low, high = (text.replace("−", "-") for text in (cell.words, *cell.ends))
    strong = rf"\mathbf{{{words}}}" if cell.bold else words
    return f"${strong}_{{{low}}}^{{{high}}}$"


def _tex(text: str) -> str:
    """Text that LaTeX prints as it is: a model may be called anything."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split()))


def _md_cell(cell: _Text) -> str:
    words = f"**{md(cell.words)}**" if cell.bold else md(cell.words)
    return f"{words} <sub>{md(f'[{cell.ends[0]}, {cell.ends[1]}]')}</sub>" if cell.ends else words


def _write_latex(figures: Figures, out: Path) -> list[Path]:
    path = out / "tables.tex"
    write_text(path, latex(figures.board))
    return [path]


def _write_markdown(figures: Figures, out: Path) -> list[Path]:
    path = out / "tables.md"
    write_text(path, markdown_tables(figures.board))
    return [path]


LATEX = Format(name="latex", write=_write_latex)
MARKDOWN = Format(name="markdown", write=_write_markdown)

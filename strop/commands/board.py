"""`strop board`: one board from many run folders."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import DataError
from harness.runs.ids import DEFAULT_RUNS
from harness.runs.names import RECIPE
from harness.wording import counted
from strop.options import IDS_HELP, DataOption, JsonOption, PluginPathOption, RunsOption, writable_folder
from strop.places import data_root, set_plugin_path
from strop.progress import spinner
from tasks.data.root import DEFAULT_DATA, DataRoot

if TYPE_CHECKING:
    from leaderboards.site.samples import Questions

FILES = ("board.md", "board.csv", "board.html", "cost.csv")


def board(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help=IDS_HELP, show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for board.md, board.csv, board.html and cost.csv; default: board, with --site none.",
            callback=writable_folder,
        ),
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a static site: the board, every run, its samples, the verifiers. Needs no network.",
            callback=writable_folder,
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            min=0, help="Samples a task in the site, besides all that changed, are unread or read in several ways."
        ),
    ] = 200,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    reported: Annotated[
        bool,
        typer.Option(
            "--reported",
            help="Set published figures beside rows of the same benchmark, mark those outside the measured interval, "
            "and write reported.csv too.",
        ),
    ] = False,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Render a board: each round of each run, its interval, its difference to round 0.

    Runs of one recipe with different seeds get a pooled row. Pages need no network. Folders that `strop score --out`
    wrote are rows of their own; of a folder of `strop grid` all finished runs are, and it has a page in the site.

    **Examples**

    strop board runs/honed

    strop board runs/honed-seed0 runs/honed-seed1 runs/oracle --out board

    strop board scored/llava-13b-pope --reported

    strop board runs/honed runs/oracle --site public

    strop board runs/study --site public
    """
    from harness.examination import kept
    from harness.runs.grids import find_grid
    from leaderboards.ablation import ablate
    from leaderboards.beside import Published
    from leaderboards.build import assemble, read_entries, write_board
    from leaderboards.reported import read_tables
    from loops.recipe import level_of
    from tasks.registry import all_yardsticks

    set_plugin_path(plugin_path)
    root = data_root(data)
    published = Published(figures=read_tables(), yardsticks=all_yardsticks())
    grids = [grid for id in ids if (grid := find_grid(id, runs))]
    written: list[Path] = []
    notes: list[str] = []
    with spinner() as tell:
        tell("reading what the runs left")
        entries = read_entries(ids, level_of, runs)
        tell(f"resampling the answers of {counted(len(entries), 'run')}")
        assembled = assemble(entries, partial(kept, root.folder))
        if out is not None or site is None:
            folder = out or Path("board")
            beside = write_board(entries, assembled, folder, published if reported else None)
            written += [folder / name for name in (*FILES, *(["reported.csv"] if reported else []))]
            notes += beside.notes if beside else []
        if site is not None:
            from leaderboards.site.build import write_site

            tell(f"writing the site {site}")
            write_site(
                entries,
                assembled,
                site,
                published,
                [ablate(path) for path in grids],
                find_task=partial(find_asked, root),
                find_pool=partial(find_pool, root),
                rest=samples,
            )
            written.append(site / "index.html")
    if as_json:
        report = {"runs": ids, "files": [str(path) for path in written]}
        typer.echo(json.dumps({**report, "notes": notes} if reported else report))
    else:
        for line in (*(f"written {path}" for path in written), *notes):
            typer.echo(line)


@cache
def find_asked(data: DataRoot, name: str, version: int, split: str) -> Questions:
    """The questions of a task as they were asked; raises `DataError` where the task at hand is another version."""
    from leaderboards.site.samples import Questions
    from tasks.registry import find_task

    task = find_task(name, data)
    if task.version != version:
        raise DataError(f"{name} was asked as version {version} and is version {task.version} now")
    return Questions(task=task, samples={sample.id: sample for sample in task.samples(split)})


@cache
def _pool(data: DataRoot, source: str, seed: int, number: int, count: int) -> Questions:
    from leaderboards.site.samples import Questions
    from tasks.registry import find_task, training_pool

    pool = training_pool(source, data)
    if not pool.has_gold:
        raise DataError(f"source {source} has no right answers to hold the verdicts against")
    samples = pool.of_round(seed=seed, number=number, count=count)
    return Questions(task=find_task(source, data), samples={sample.id: sample for sample in samples})


def find_pool(data: DataRoot, folder: Path, number: int) -> Questions:
    """The training samples that round `number` of a run folder collected on."""
    from loops.recipe import load_recipe

    recipe = load_recipe(folder / RECIPE)
    return _pool(data, recipe.source, recipe.seed, number, recipe.collect.samples)

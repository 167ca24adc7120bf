"""Test pictures that nobody has looked at: a reserve whose parts are opened once, each by one study.

Pictures that many experiments were tried on flatter whatever was kept. So a task may have splits `reserve-1`,
`reserve-2`, ... that no evaluation and no run may ask; only a grid may, and the first grid that does so has that part
for itself: the file `openings.jsonl` beside the grids that come with Strop says which, by a digest of its cells'
recipes. A grid that was changed after it had seen its pictures is another, and needs another part.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import UsageError
from harness.files import digest_of_json, read_jsonl, write_jsonl
from harness.provenance import provenance
from loops.grid import Grid

RESERVE = "reserve-"
"""How the names of these splits begin."""

OPENINGS = Path(__file__).parent / "grids" / "openings.jsonl"


def refuse_reserve(split: str, command: str) -> None:
    """Raise `UsageError` for a split of the reserve where a command is not a whole study."""
    if split.startswith(RESERVE):
        raise UsageError(
            f"{command}: split {split} is test pictures that one study opens, once; take dev to choose settings, test "
            "to look, and `strop grid --open-reserve` for the study itself"
        )


def open_reserve(grid: Grid, opening: bool, openings: Path = OPENINGS) -> list[str]:
    """See that every split of the reserve that the grid asks is this grid's; with `opening`, make unopened ones so.
    Returns notes for people: parts that were opened at other code, which a digest of recipes does not show.

    Raises `UsageError` where a part was opened by another grid, where it was opened by none and `opening` is not asked
    for, and where the code has changes that no commit holds: nobody could tell what was measured.
    """
    splits = sorted({cell.recipe.evaluate.split for cell in grid.cells})
    return [note for split in splits if split.startswith(RESERVE) for note in _open(split, grid, opening, openings)]


def digest_of_grid(grid: Grid) -> str:
    """What a grid is: the cells' recipes as far as they differ from the defaults, less their names, and the training
    seeds."""
    return digest_of_json([[cell.recipe.off_default() for cell in grid.cells], list(grid.seeds)])


def _open(split: str, grid: Grid, opening: bool, openings: Path) -> list[str]:
    lines: Sequence[dict[str, str]] = list(read_jsonl(openings)) if openings.is_file() else []
    digest = digest_of_grid(grid)
    opened = next((line for line in lines if line["split"] == split), None)
    origin = provenance()
    commit = str(origin.get("commit") or "")
    if opened and opened["digest"] == digest:
        if (opened["commit"], bool(origin.get("dirty"))) == (commit, False):
            return []
        now = f"{commit[:12]}{' with changes' if origin.get('dirty') else ''}" or "in no checkout"
        return [
            f"{split} was opened at commit {opened['commit'][:12]}, and the code is now {now}: if what is measured "
            "was changed knowing those pictures, they test nothing any more"
        ]
    if opened:
        raise UsageError(
            f"{split} was opened on {opened['date']} by grid {opened['grid']} ({opened['digest'][:12]}), and this grid "
            f"is another ({digest[:12]}): its settings may have been chosen knowing those pictures; name the next part"
        )
    if not opening:
        raise UsageError(f"{split} is unopened; --open-reserve opens it for this grid, for good")
    if origin.get("dirty"):
        raise UsageError(f"{split}: the code has changes that are in no commit; commit them before it is opened")
    line = {"split": split, "grid": grid.name, "digest": digest, "date": datetime.now(UTC).date().isoformat()}
    write_jsonl(openings, [*lines, {**line, "commit": commit}])
    return []

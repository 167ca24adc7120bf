"""Which commits the names of models on the hub mean in a run: fixed when it begins, in its `hub.json`, so that it goes
on with the same weights after a branch has moved. Runs that share stages share these too, so that the cells of a grid
start from one model."""

from __future__ import annotations

from pathlib import Path

from harness.files import read_json, write_json
from harness.models.weights import pinned_name
from harness.runs.names import REVISIONS
from loops.recipe import Recipe
from loops.setting import Setting


def revisions_of(recipe: Recipe, setting: Setting, out: Path, shared: Path | None) -> dict[str, str]:
    """The recipe's models on the hub with their commits: those of the run in `out`, of the runs that it shares stages
    with, or else of now. Raises `ModelError` where the hub has none such."""
    recorded = {**(_read(shared) if shared else {}), **_read(out)}
    models = (recipe.model, recipe.adapter, *recipe.verify.models)
    names = [name for name in models if name and not setting.shipped(name)]
    pinned = {name: recorded[name] if name in recorded else pinned_name(name) for name in names}
    return {name: commit for name, commit in pinned.items() if commit != name}


def record_revisions(revisions: dict[str, str], out: Path, shared: Path | None) -> None:
    """Write them into the folder of the run and of its shared stages, where these do not have them."""
    for folder in (out, *([shared] if shared else [])):
        recorded = _read(folder)
        if revisions.keys() - recorded.keys():
            write_json(folder / REVISIONS, {**revisions, **recorded})


def _read(folder: Path) -> dict[str, str]:
    path = folder / REVISIONS
    return {str(name): str(commit) for name, commit in read_json(path).items()} if path.is_file() else {}

"""`strop show`: where the figures of a folder come from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.runs.ids import DEFAULT_RUNS
from strop.options import ID_HELP, JsonOption, RunsOption

if TYPE_CHECKING:
    from rich.tree import Tree


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help=ID_HELP, show_default=False)],
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Print where figures come from: recipe, weights, data, packages, commit, command.

    **Examples**

    strop show runs/demo:2

    strop show 09eab7611d06
    """
    from leaderboards.origin import described, find_origin

    origin = find_origin(id, runs)
    tree = described(origin)
    if as_json:
        typer.echo(json.dumps(tree, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    drawn = Tree(Text(str(origin.folder)))
    _grow(drawn, tree)
    Console(highlight=False, soft_wrap=True).print(drawn)


def _grow(branch: Tree, tree: Mapping[str, Any]) -> None:
    from rich.text import Text

    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            _grow(branch.add(Text(name, "bold")), value)
        else:
            branch.add(Text(f"{name}: {in_words(value, name)}"))


def in_words(value: Any, name: str = "") -> str:
    """A value as a person reads it: a command as it is typed, nothing as a dash."""
    if name.endswith("command") and isinstance(value, list):
        return shlex.join(map(str, value))
    if value is None or value in ("", [], {}):
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""The recipes that come with Strop: what each is, where it is from, and what follows from its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loops.recipe import Recipe, load_recipe

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipped:
    """A recipe by the name that `strop run` takes; `about` is its file's first line."""

    name: str
    about: str
    recipe: Recipe


def shipped_recipes() -> list[Shipped]:
    """All of them, by name."""
    return [
        Shipped(name=path.stem, about=first_comment(path), recipe=load_recipe(path))
        for path in sorted(FOLDER.glob("*.yaml"))
    ]


def first_comment(path: Path) -> str:
    """The comment that a file begins with, as one line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# ").strip())
    return " ".join(comment)

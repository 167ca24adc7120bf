"""The recipes that come with Strop: what each is, where it is from, and what follows from its parts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from loops.documents import shipped_files
from loops.recipe import Recipe, load_recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipped:
    """A recipe by the name that `strop run` takes; `about` is the comment that its file begins with."""

    name: str
    about: str
    recipe: Recipe


def shipped_recipes() -> list[Shipped]:
    """All of them, by name."""
    return [
        Shipped(name=name, about=first_comment(path), recipe=load_recipe(path))
        for name, path in shipped_files("recipe").items()
    ]


def first_comment(path: Path) -> str:
    """The comment that a file begins with, as one line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line.lstrip("# ").strip() for line in takewhile(lambda line: line.startswith("#"), lines))

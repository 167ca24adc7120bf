"""Names carry their noun: what says only that something was found, asked or held is no name of a parameter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

WITHOUT_NOUN = set("found one known said asked told there some wanted given place part held made".split())  # noqa: SIM905

FOLDERS = ("strop", "harness", "tasks", "loops", "leaderboards")

PER_THOUSAND = 10
"""Of 1,000 assigned names fewer may be such; in nine codebases of the field 0.3 to 6.5 are."""


def _names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that a module assigns, with its line: variables, parameters, caught errors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno


def _interface(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What others see of a module, with its line: parameters of functions, and what its top level defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    yield argument.arg, argument.lineno
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name, statement.lineno
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                yield from ((node.id, node.lineno) for node in ast.walk(target) if isinstance(node, ast.Name))


def _trees(folder: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_parameters_and_module_level_names_carry_their_noun(folder: str) -> None:
    offenders = [
        f"{path}:{line}: {name}"
        for path, tree in _trees(folder)
        for name, line in _interface(tree)
        if name in WITHOUT_NOUN
    ]
    assert offenders == []


@pytest.mark.parametrize("folder", (*FOLDERS, "tests"))
def test_few_names_anywhere_are_without_a_noun(folder: str) -> None:
    names = [(name, f"{path}:{line}") for path, tree in _trees(folder) for name, line in _names(tree)]
    offenders = [f"{where}: {name}" for name, where in names if name in WITHOUT_NOUN]
    assert 1_000 * len(offenders) <= PER_THOUSAND * len(names), "\n".join(offenders)

"""Arrows point one way, each foreign library has one importing module, and nothing unpickles or runs foreign code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("strop", "harness", "tasks", "loops", "leaderboards")

MAY_IMPORT = {
    "strop": {"harness", "tasks", "loops", "leaderboards"},
    "harness": set(),
    "tasks": {"harness"},
    "loops": {"harness"},
    "leaderboards": {"harness"},
}

SOLE_IMPORTERS = {
    "lm_eval": "harness/lm_eval_door.py",
    "trl": "loops/optimise/with_trl.py",
    "open_clip": "harness/models/encoder.py",
    "nltk": "tasks/reading/text.py",
    "lemminflect": "tasks/reading/text_offline.py",
    "pycocotools": "tasks/data/annotations.py",
    "pandas": "harness/tables.py",
    "matplotlib": "leaderboards/charts.py",
    "pyarrow": "leaderboards/formats/parquet.py",
    "httpx2": "tasks/data/fetch.py",
    "tqdm": "harness/models/hub.py",
    "openai": "harness/models/endpoint.py",
    "math_verify": "tasks/physics/algebra.py",
}


@cache
def _modules(*folders: str) -> list[tuple[str, ast.Module]]:
    """(path from the root, syntax tree) of every module of some folders."""
    return [
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


@cache
def _imported(tree: ast.Module) -> frozenset[str]:
    """The top-level names that a module imports anywhere, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(str(node.module).split(".")[0])
    return frozenset(names)


def _at_import(nodes: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when a module is imported: not those of functions, nor those for type checkers alone."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from _at_import(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _at_import(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


def _import_graph() -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports when it is imported; a package is the module of its name."""
    trees = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree for path, tree in _modules(*FOLDERS)
    }
    graph: dict[str, set[str]] = {}
    for module, tree in trees.items():
        names = set()
        for node in _at_import(tree.body):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            else:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= {name if name in trees else str(node.module) for name in inner}
        graph[module] = names & trees.keys() - {module}
    return graph


@pytest.mark.parametrize("folder", FOLDERS)
def test_arrows_between_the_folders_point_one_way(folder: str) -> None:
    forbidden = set(FOLDERS) - {folder} - MAY_IMPORT[folder]
    wrong = {path: names for path, tree in _modules(folder) if (names := _imported(tree) & forbidden)}
    assert wrong == {}


def test_no_import_goes_round_in_a_circle() -> None:
    """graphlib names the modules of a circle in its error."""
    TopologicalSorter(_import_graph()).prepare()


@pytest.mark.parametrize("folder", ["tasks", "loops", "leaderboards"])
def test_every_other_folder_stands_on_the_harness(folder: str) -> None:
    assert any("harness" in _imported(tree) for _, tree in _modules(folder))


@pytest.mark.parametrize(("library", "importer"), SOLE_IMPORTERS.items())
def test_a_foreign_library_has_one_importing_module(library: str, importer: str) -> None:
    assert [path for path, tree in _modules(*FOLDERS) if library in _imported(tree)] == [importer]


def test_nothing_unpickles_but_plain_containers() -> None:
    """One module reads pickles, by an unpickler that admits a few names; tests/tasks/chair/test_build.py attacks it."""
    for path, tree in _modules(*FOLDERS):
        assert not _imported(tree) & {"cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}, path
        assert "pickle" not in _imported(tree) or path == "tasks/chair/pickles.py"
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not calls & {"torch.load", "pandas.read_pickle", "pd.read_pickle"}, path
        assert not calls & {"pickle.load", "pickle.loads", "pickle.Unpickler"}, path


def test_code_from_the_hub_is_never_run() -> None:
    for path, tree in _modules(*FOLDERS):
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("strop.app", "torch transformers lm_eval numpy pandas openai"),
        (
            "loops.run, loops.recipe, loops.setting, tasks.registry",
            "torch transformers lm_eval trl open_clip nltk lemminflect",
        ),
    ],
    ids=["the command line", "a finished run"],
)
def test_what_must_answer_at_once_imports_nothing_heavy(modules: str, heavy: str) -> None:
    code = f"import sys, {modules}; print([name for name in {heavy.split()} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == "[]"


# Tests ----------------------------------------------------------------------------------------------------------------

TESTS = sorted((ROOT / "tests").rglob("*.py"))


def test_what_tests_share_lies_in_no_file_of_tests() -> None:
    """It lies in tests/support or a conftest.py; a name in a string is an import of a process that a test starts."""
    a_test_file = re.compile(r"\b(?:from|import) tests\.(?:\w+\.)*test_|[\"' ](?:tests|strop)\.(?:\w+\.)*test_")
    assert [path.name for path in TESTS if a_test_file.search(path.read_text(encoding="utf-8"))] == []


def test_no_test_changes_the_defaults_of_a_function() -> None:
    """A size that a test needs smaller is a field or a parameter of what is tested."""
    for path in TESTS:
        if path != Path(__file__):
            assert "__defaults__" not in path.read_text(encoding="utf-8"), path


def test_tests_mirror_the_house() -> None:
    """A folder of tests is a folder of the code, but what they share, the examples of the documentation, and what is
    asked of every family of models."""
    folders = {path.parent.relative_to(ROOT / "tests") for path in TESTS}
    others = [folder for folder in sorted(folders) if not (ROOT / folder).is_dir()]
    assert {folder.parts[0] for folder in others} <= {"support", "families", "docs"}

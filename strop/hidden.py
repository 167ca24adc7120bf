"""Detects another package or folder that Python imports in the place of one of ours.

Imports the standard library only: it runs before anything that the other package would break.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

FLOORS = ("harness", "tasks", "loops", "leaderboards")
"""The packages that Strop installs beside `strop`."""

ROOT = Path(__file__).resolve().parents[1]


def hidden_packages() -> str | None:
    """One line that names each file that hides a package of ours, with the remedy; None where all are ours."""
    others = {name: path for name in FLOORS if (path := _imported_from(name)) != ROOT / name}
    if not others:
        return None
    hiding = " and ".join(f"{path} hides Strop's package '{name}'" for name, path in others.items() if path)
    missing = " and ".join(
        f"Strop's package '{name}' is missing in {ROOT}" for name, path in others.items() if not path
    )
    remedy = "; ".join(dict.fromkeys(_remedy(name, path) for name, path in others.items()))
    return "; ".join(filter(None, (hiding, missing, remedy)))


def _imported_from(name: str) -> Path | None:
    """The folder or file that `import name` loads or has loaded: a package's folder, a module's file."""
    spec = _spec(name)
    if spec is None:
        file = getattr(sys.modules.get(name), "__file__", None)
        return Path(file).resolve() if file else None
    if spec.origin is not None and spec.has_location:
        path = Path(spec.origin).resolve()
        ours = ROOT / name / "__init__.py"
        return path.parent if path == ours else path
    # a folder without __init__.py precedes a package that an import hook provides (an editable install)
    return next((Path(folder).resolve() for folder in spec.submodule_search_locations or ()), None)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ValueError:  # loaded without a spec
        return None


def _remedy(name: str, path: Path | None) -> str:
    from importlib.metadata import packages_distributions

    if path is None:
        return "install Strop again"
    if "site-packages" in path.parts:
        owners = [owner for owner in dict.fromkeys(packages_distributions().get(name, ())) if owner != "strop"]
        return f"install Strop in an environment without {', '.join(owners) or 'it'}"
    if path.is_relative_to(Path.cwd()):
        return "start from another folder, or rename it"
    return "rename it, or take its folder out of PYTHONPATH"

"""`strop rerun`: what a folder records is done again, and the figures are held against the old ones."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import DataError, UsageError
from harness.runs.ids import DEFAULT_RUNS
from strop.commands.diff import print_figures, print_unlike
from strop.commands.show import in_words
from strop.options import ID_HELP, JsonOption, RunsOption, writable_folder
from strop.places import data_root, data_words

if TYPE_CHECKING:
    from leaderboards.origin import Origin
    from tasks.data.root import DataRoot

REPEATABLE = ("eval", "score")
"""Commands whose results folder is repeated by giving them again; a run is repeated from its recipe."""


def rerun(
    id: Annotated[str, typer.Argument(metavar="ID", help=ID_HELP, show_default=False)],
    out: Annotated[Path, typer.Option(help="A new folder for the repetition.", callback=writable_folder)],
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Repeat what made these figures in a new folder, and compare every figure.

    Exits with 1 where a figure is not the same.

    Weights, task versions and data must be what they were; other packages, another commit or another machine are told.
    No stored answer is used: the model is asked anew.

    **Examples**

    strop rerun runs/demo --out runs/demo-again

    strop rerun runs/seed --out runs/seed-again
    """
    from leaderboards.origin import figures_of, find_origin, unlike, unlike_figures

    origin, new = find_origin(id, runs), out.resolve()
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise UsageError(f"--out {out} is there already; name a new folder")
    words = _words(origin, new)
    known = next(iter(origin.rounds.values()))["provenance"]
    with _as_then(known, words):
        _check_weights(origin, words)
        _check_tasks(origin, data_root(*data_words(words)[1:]))
        _warn(known)
        from strop.app import app

        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            app(args=list(words), standalone_mode=False)
    again = find_origin(str(new))
    shared, figures = unlike_figures(origin, again)
    same = not figures and shared == len(figures_of(origin))
    if as_json:
        typer.echo(json.dumps({"same": same, "figures_shared": shared, "figures": [asdict(one) for one in figures]}))
    else:
        if not same:
            print_unlike("differs", unlike(origin, again), ("then", "now"))
        print_figures(shared, figures, ("then", "now"))
    if not same:
        raise typer.Exit(1)


def _words(origin: Origin, out: Path) -> list[str]:
    """The command to give, without `strop` before it; raises `UsageError` where none is known."""
    if origin.run is not None:
        if origin.folder != origin.run:
            raise UsageError(f"{origin.folder} is a part of a run, which is repeated whole: name {origin.run}")
        command = next(iter(origin.rounds.values()))["provenance"].get("command")
        data = data_words(command) if isinstance(command, list) else []
        return ["run", str((origin.run / "recipe.yaml").resolve()), "--out", str(out), *data]
    command = origin.rounds[None]["provenance"].get("command")
    if not isinstance(command, list) or command[0] != "strop" or command[1:2] not in [[one] for one in REPEATABLE]:
        raise UsageError(
            f"{origin.folder}: no command is recorded that can be given again ({in_words(command, 'command')}); "
            "repeat it by hand and hold both against each other with `strop diff`"
        )
    from harness.provenance import HIDDEN

    if any(HIDDEN in word for word in command):
        raise UsageError(
            f"{origin.folder}: its command held a secret, which was not kept; give it by hand: {shlex.join(command)}"
        )
    words, skip = [], False
    for word in command[1:]:
        if not skip and word != "--out" and not word.startswith("--out="):
            words.append(str(word))
        skip = word == "--out"
    return [*words, "--out", str(out)]


@contextlib.contextmanager
def _as_then(known: Mapping[str, Any], words: Sequence[str]) -> Iterator[None]:
    """This process in the folder, with the variables and under the command line of then; what is written records it."""
    from harness.provenance import HIDDEN

    before, environment, arguments = Path.cwd(), dict(os.environ), sys.argv
    folder = Path(str(known.get("folder") or before))
    if folder.is_dir():
        os.chdir(folder)
    steering = {name: value for name, value in (known.get("environment") or {}).items() if name.startswith("STROP_")}
    os.environ.update({name: value for name, value in steering.items() if HIDDEN not in value})
    sys.argv = ["strop", *words]
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments


def _check_weights(origin: Origin, words: Sequence[str]) -> None:
    """Raise `DataError` where the model is not what it was. Answer files are known by what was made of them."""
    from harness.models.weights import adapter_folder, model_digest, model_folder
    from tasks.pictos.models import shipped

    if origin.run is not None:
        model, adapter = str(origin.recipe["model"]), origin.recipe.get("adapter")
        if adapter and origin.recipe.get("rounds"):
            return  # the seed of such a run is a checkpoint of its own, into which the adapter is merged first
    elif words[0] == "eval":
        from strop.app import app

        commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        given = commands["eval"].make_context("eval", list(words[1:])).params
        if given.get("endpoint"):
            return  # a name that is served: only its answers tell what it is
        model, adapter = str(given["model"]), given.get("adapter")
    else:
        return
    now = model_digest(shipped(model) or model_folder(model), adapter_folder(adapter) if adapter else None)
    then = next(iter(origin.rounds.values()))["digest"]
    if now != then:
        raise DataError(
            f"the weights of {model} are {now[:12]} now and were {then[:12]}; what they give is another model's "
            "figures: put the old ones there, or measure these by `strop eval`"
        )


def _check_tasks(origin: Origin, data: DataRoot) -> None:
    """Raise `DataError` where a task or its data are not what they were; answer files bring their own."""
    from harness.provenance import data_digest
    from tasks.registry import find_task

    asked = {
        task["task"]: task for content in origin.rounds.values() for task in content["tasks"] if task.get("sampling")
    }
    for name, then in asked.items():
        task = find_task(name, data)
        if task.version != then["version"]:
            raise DataError(f"{name} is version {task.version} now and was {then['version']}; check out the old commit")
        now = data_digest(task.samples(then["split"])[: then["n"]])
        if now != then["data"]:
            raise DataError(
                f"the data of {name} are {now[:12]} now and were {then['data'][:12]}; put the old ones into the data "
                "folder (`strop data list` says where it is)"
            )


def _warn(known: Mapping[str, Any]) -> None:
    """Tell on stderr what else is not as it was."""
    from harness.provenance import provenance

    now = provenance()
    for name in ("commit", "dirty", "python", "versions", "hardware"):
        then, here = known.get(name), now[name]
        if isinstance(then, dict):
            for part in then:
                # not `threads`: torch is not loaded yet
                if part != "threads" and then[part] != here.get(part):
                    _tell(f"{name} {part}", then[part], here.get(part))
        elif then != here:
            _tell(name, then, here)


def _tell(name: str, then: Any, now: Any) -> None:
    typer.echo(f"warning: {name} was {in_words(then)} and is {in_words(now)} now", err=True)

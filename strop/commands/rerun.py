"""`strop rerun`: what a folder records is done again, and the figures are held against the old ones."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from harness.errors import DataError, UsageError
from harness.files import read_json, write_json
from harness.lm_eval_names import PATH_VARIABLE
from harness.models.hub import adapter_name, hub_id
from harness.plugins import OLDER_PATH_VARIABLE, PLUGIN_PATH_VARIABLE
from harness.provenance import HIDDEN
from harness.runs.ids import DEFAULT_RUNS
from harness.runs.names import RECIPE, REVISIONS
from strop.commands.diff import print_figures, print_unlike
from strop.commands.show import in_words
from strop.options import ID_HELP, JsonOption, RunsOption, writable_folder
from strop.places import option_in, options_in, set_include_path, set_plugin_path
from tasks.data.root import DATA_VARIABLE, DataRoot

if TYPE_CHECKING:
    from leaderboards.origin import Origin

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
    provenance = next(iter(origin.rounds.values()))["provenance"]
    command = _command(origin, provenance, new)
    _check_weights(origin, command)
    _check_tasks(origin, command)
    _warn(provenance)
    if commits := _commits(origin):
        write_json(new / REVISIONS, commits)
    if code := _repeat(command, stdout=sys.stderr if as_json else sys.stdout):
        raise typer.Exit(code)  # the repetition has said why
    again = find_origin(str(new))
    shared, figures = unlike_figures(origin, again)
    same = not figures and shared == len(figures_of(origin))
    if as_json:
        typer.echo(
            json.dumps({"same": same, "figures_shared": shared, "figures": [asdict(figure) for figure in figures]})
        )
    else:
        if not same:
            print_unlike("differs", unlike(origin, again), ("then", "now"))
        print_figures(shared, figures, ("then", "now"))
    if not same:
        raise typer.Exit(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Command:
    """What repeats the figures: `words` without `strop` before them, `folder` in which they are given, and the
    variables of then that steer Strop."""

    words: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this process, and over them those of then."""
        return {**os.environ, **self.variables}

    def located(self, name: str) -> str:
        """A file or folder as that command finds it; the name itself, such as a hub id, where there is none."""
        path = self.folder / Path(name).expanduser()
        return str(path) if path.exists() else name

    def option(self, variable: str, *names: str) -> str | None:
        """A path that an option gives, else a variable; None where neither does."""
        value = option_in(self.words, *names) or self.environment.get(variable)
        return None if value is None else str(self.folder / Path(value).expanduser())


def _command(origin: Origin, provenance: Mapping[str, Any], out: Path) -> _Command:
    """The command to give, as it was given then; raises `UsageError` where none is known."""
    folder, environment = Path(str(provenance.get("folder") or "")), provenance.get("environment") or {}
    steering = {name: value for name, value in environment.items() if name.startswith("STROP_") and HIDDEN not in value}
    return _Command(
        words=tuple(_words(origin, out)),
        folder=folder if folder.is_dir() else Path.cwd(),
        variables=steering,
    )


def _repeat(command: _Command, stdout: TextIO) -> int:
    """Give the command to a process of its own and return its exit code. A stop is passed on and waited for, so that it
    says what it kept."""
    # -P: what lies in the working folder is not imported
    words = [sys.executable, "-P", "-m", "strop", *command.words]
    with subprocess.Popen(words, cwd=command.folder, env=command.environment, stdout=stdout.fileno()) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            return process.wait()


def _commits(origin: Origin) -> dict[str, str]:
    """The commits that a run's models on the hub meant; empty for anything else."""
    path = origin.run / REVISIONS if origin.run else None
    return dict(read_json(path)) if path and path.is_file() else {}


def _at_commits(words: Sequence[str], about: Mapping[str, Any]) -> list[str]:
    """The words of a command whose models on the hub are named with the commits that were measured."""
    commits = {str(option_in(words, "--model")): about.get("weights")}
    commits |= {name: about.get(adapter_name(number)) for number, name in enumerate(options_in(words, "--adapter"))}
    named = {name: commit for name, commit in commits.items() if commit and hub_id(name)}
    return [
        next((f"{word[: -len(name)]}{commit}" for name, commit in named.items()
              if word in (name, f"--model={name}", f"--adapter={name}")), word)
        for word in words
    ]  # fmt: skip


def _words(origin: Origin, out: Path) -> list[str]:
    """The words of the command, without `strop` before them."""
    if origin.run is not None:
        if origin.folder != origin.run:
            raise UsageError(f"{origin.folder} is a part of a run, which is repeated whole: name {origin.run}")
        command = next(iter(origin.rounds.values()))["provenance"].get("command")
        data = option_in(command, "--data") if isinstance(command, list) else None
        words = ["run", str((origin.run / RECIPE).resolve()), "--out", str(out)]
        return words if data is None else [*words, "--data", data]
    command = origin.rounds[None]["provenance"].get("command")
    if not isinstance(command, list) or command[0] != "strop" or command[1:2] not in [[name] for name in REPEATABLE]:
        raise UsageError(
            f"{origin.folder}: no command is recorded that can be given again ({in_words(command, 'command')}); "
            "repeat it by hand and hold both against each other with `strop diff`"
        )
    if any(HIDDEN in word for word in command):
        raise UsageError(
            f"{origin.folder}: its command held a secret, which was not kept; give it by hand: {shlex.join(command)}"
        )
    words, skip = [], False
    for word in command[1:]:
        if not skip and word != "--out" and not word.startswith("--out="):
            words.append(str(word))
        skip = word == "--out"
    return [*_at_commits(words, origin.rounds[None]["provenance"].get("model") or {}), "--out", str(out)]


def _check_weights(origin: Origin, command: _Command) -> None:
    """Raise `DataError` where the model is not what it was. Answer files are known by what was made of them."""
    from harness.models.weights import adapter_folder, model_digest, model_folder
    from tasks.pictos.models import shipped

    if origin.run is not None:
        commits = _commits(origin)
        model, adapter = str(origin.recipe["model"]), origin.recipe.get("adapter")
        model, adapters = commits.get(model, model), [commits.get(adapter, adapter)] if adapter else []
        if adapters and origin.recipe.get("rounds"):
            return  # the seed of such a run is a checkpoint of its own, into which the adapter is merged first
    elif command.words[0] == "eval":
        if option_in(command.words, "--endpoint"):
            return  # a name that is served: only its answers tell what it is
        model, adapters = str(option_in(command.words, "--model")), options_in(command.words, "--adapter")
    else:
        return
    folder = shipped(model) or model_folder(command.located(model))
    now = model_digest(folder, *(adapter_folder(command.located(str(adapter))) for adapter in adapters))
    then = next(iter(origin.rounds.values()))["digest"]
    if now != then:
        raise DataError(
            f"the weights of {model} are {now[:12]} now and were {then[:12]}; what they give is another model's "
            "figures: put the old ones there, or measure these by `strop eval`"
        )


def _check_tasks(origin: Origin, command: _Command) -> None:
    """Raise `DataError` where a task or its data are not what they were; answer files bring their own."""
    from harness.provenance import data_digest
    from tasks.registry import find_task

    set_plugin_path(
        command.option(PLUGIN_PATH_VARIABLE, "--plugin-path", "--task-path") or command.option(OLDER_PATH_VARIABLE)
    )
    set_include_path(command.option(PATH_VARIABLE, "--include-path"))
    root = DataRoot.from_environment(command.environment)
    data = replace(root, folder=Path(command.option(DATA_VARIABLE, "--data") or root.folder))
    sampled = {
        task["task"]: task for content in origin.rounds.values() for task in content["tasks"] if task.get("sampling")
    }
    for name, then in sampled.items():
        task = find_task(name, data)
        if task.version != then["version"]:
            raise DataError(f"{name} is version {task.version} now and was {then['version']}; check out the old commit")
        now = data_digest(task.samples(then["split"])[: then["n"]])
        if now != then["data"]:
            raise DataError(
                f"the data of {name} are {now[:12]} now and were {then['data'][:12]}; put the old ones into the data "
                "folder (`strop data list` says where it is)"
            )


def _warn(recorded: Mapping[str, Any]) -> None:
    """Warn on stderr of what else differs from the recorded provenance."""
    from harness.provenance import provenance

    now = provenance()
    for name in ("commit", "dirty", "python", "versions", "hardware"):
        then, here = recorded.get(name), now[name]
        if isinstance(then, dict):
            for field in then:
                # not `threads`: torch is not loaded yet
                if field != "threads" and then[field] != here.get(field):
                    _tell(f"{name} {field}", then[field], here.get(field))
        elif then != here:
            _tell(name, then, here)


def _tell(name: str, then: Any, now: Any) -> None:
    typer.echo(f"warning: {name} was {in_words(then)} and is {in_words(now)} now", err=True)

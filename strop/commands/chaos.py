"""`strop chaos`: is anything lost when commands are killed on this machine and this disk?

The JSON is {"seed", "commands": {name: {"kills", "faults": {kind: count}, "resumed", "lost", "twice", "wrong":
[line]}}}.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strop.options import JsonOption, ModelOption, writable_folder

if TYPE_CHECKING:
    from strop.chaos.campaign import Tally


def chaos(
    out: Annotated[Path, typer.Option(help="A new folder, on the disk that is to be tried.", callback=writable_folder)],
    kills: Annotated[int, typer.Option(min=1, help="How often commands are killed.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Of where and how.")] = 0,
    model: ModelOption = "pictos-seed",
    as_json: JsonOption = False,
) -> None:
    """Kill commands at random: is anything lost?

    An offline round, an on-policy round, a grid and a served evaluation are killed between any two of their operations
    on files, in the middle of a line and at random times; the disk is full at once; they are asked to stop. Each time
    the same command goes on, until it ends. Then answers, pairs, weights and board must be those of the command that
    nobody disturbed, no answer lost, none asked for twice.

    Ends with 1 and a line for each thing that is not so.

    **Examples**

    strop chaos --out /tmp/chaos

    strop chaos --out /mnt/shared/chaos --kills 8 --seed 3 --json
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    from harness.errors import UsageError
    from strop.chaos.campaign import campaign
    from strop.chaos.scenes import scenes
    from strop.chaos.server import counting_server

    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty; name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    with counting_server() as server:
        commands = scenes(_named(model), server.url, out.resolve())
        tallies = campaign(
            commands, server, out.resolve(), kills=kills, seed=seed, say=lambda line: typer.echo(line, err=as_json)
        )
    if as_json:
        commands_as_plain = {name: tally.as_plain() for name, tally in tallies.items()}
        typer.echo(json.dumps({"seed": seed, "commands": commands_as_plain}))
    else:
        typer.echo(_as_text(tallies))
    if any(tally.wrong or tally.lost or tally.twice for tally in tallies.values()):
        sys.exit(1)


def _named(model: str) -> str:
    """A model's name that holds in any folder."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model


def _as_text(tallies: Mapping[str, Tally]) -> str:
    lines = [
        f"{name}: {', '.join(f'{count} {kind}' for kind, count in sorted(tally.faults.items())) or 'no fault'}; "
        f"{tally.resumed} runs gone on with, {tally.lost} answers lost, {tally.twice} asked for twice"
        for name, tally in tallies.items()
    ]
    return "\n".join([*lines, *(f"wrong: {line}" for tally in tallies.values() for line in tally.wrong)])

"""`strop serve`: the checkpoint of a round behind vLLM's server, by the command that is right for it."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import UsageError
from harness.runs.ids import DEFAULT_RUNS, Location, locate
from harness.runs.names import RESULTS, checkpoint_folder
from strop.options import RunsOption

DTYPES = ("float32", "bfloat16", "float16")


def serve(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="RUN:ROUND",
            help="A round of a run (runs/demo:2, or runs/demo for its last), or a model: a folder, a hub id.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--served-name", help="The name to serve it by. Default: RUN:ROUND as given.")
    ] = None,
    adapters: Annotated[
        list[str] | None,
        typer.Option(
            "--lora", metavar="NAME=FOLDER", help="A LoRA adapter of it to serve beside it, by a name; repeatable."
        ),
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of a machine that share the weights (tensor-parallel).")] = 1,
    machines: Annotated[
        int, typer.Option(min=1, help="Machines that share the layers (pipeline-parallel), joined by Ray beforehand.")
    ] = 1,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 8000,
    only_print: Annotated[bool, typer.Option("--print", help="Print the command and do not run it.")] = False,
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Serve a checkpoint of a round by vLLM, in the precision in which it was measured.

    Prints vLLM's command and becomes it; a checkpoint whose tensors vLLM knows by other names is copied first.
    `strop eval --endpoint` and `strop parity` then ask it under its name.

    **Examples**

    strop serve runs/demo:2

    strop serve my/llava --lora honed=runs/a/round-1/optimise/adapter --gpus 8 --print
    """
    folder, about = _find(checkpoint, runs)
    folder = _for_vllm(folder, checkpoint, runs)
    words = command(
        folder, name or checkpoint, dtype=about.get("dtype"), adapters=adapters or (), gpus=gpus, machines=machines,
        host=host, port=port,
    )  # fmt: skip
    typer.echo(shlex.join(words))
    for note in notes(about):
        typer.echo(note, err=True)
    if only_print:
        return
    if shutil.which(words[0]) is None:
        raise UsageError("vllm is not installed here; install it, in an environment of its own, or take --print")
    os.execvp(words[0], words)


def command(
    folder: str,
    name: str,
    *,
    dtype: str | None = None,
    adapters: Sequence[str] = (),
    gpus: int = 1,
    machines: int = 1,
    host: str = "127.0.0.1",
    port: int = 8000,
) -> list[str]:
    """The words of vLLM's command; raises `UsageError` for an adapter that is none.

    Example:
        >>> " ".join(command("runs/demo/round-2/optimise/checkpoint", "demo:2", dtype="float32", gpus=2))
        'vllm serve runs/demo/round-2/optimise/checkpoint --served-model-name demo:2 --host 127.0.0.1 --port 8000 --dtype float32 --tensor-parallel-size 2'
    """  # noqa: E501
    words = ["vllm", "serve", folder, "--served-model-name", name, "--host", host, "--port", str(port)]
    if dtype in DTYPES:
        words += ["--dtype", dtype]
    if gpus > 1:
        words += ["--tensor-parallel-size", str(gpus)]
    if machines > 1:
        words += ["--pipeline-parallel-size", str(machines), "--distributed-executor-backend", "ray"]
    if adapters:
        words += ["--enable-lora", "--max-lora-rank", str(max(map(_rank, adapters))), "--lora-modules", *adapters]
    return words


def notes(about: Mapping[str, Any]) -> Iterator[str]:
    """What a server does not do of what the results say of the model."""
    if about.get("pictures") == "padded":
        yield "note: pictures were padded to squares where it was measured; a server shows them by the stored processor"
    for option in ("system", "thinking", "end_bias"):
        if option in about:
            yield f"note: where it was measured, {option} was {about[option]!r}; a server does not have it"


def _rank(adapter: str) -> int:
    """The rank of an adapter NAME=FOLDER, as a power of two from 8 on, which vLLM wants."""
    from harness.files import read_json
    from harness.models.weights import adapter_folder

    name, equals, folder = adapter.partition("=")
    if not (name and equals and folder):
        raise UsageError(f"--lora {adapter}: not NAME=FOLDER; say e.g. honed=runs/a/round-1/optimise/adapter")
    rank = int(read_json(adapter_folder(folder) / "adapter_config.json")["r"])
    return max(8, 1 << (rank - 1).bit_length())


def _find(checkpoint: str, runs: Path) -> tuple[str, Mapping[str, Any]]:
    """(what vLLM is to load, what results say of that model; nothing where no round is named)."""
    from harness.files import read_json
    from tasks.pictos.models import shipped

    if (path := shipped(checkpoint)) is not None:
        return str(path), {}
    if (Path(checkpoint) / "config.json").is_file():
        return checkpoint, {}
    try:
        location = locate(checkpoint, runs)
    except UsageError:
        if Path(checkpoint).exists() or ":" in checkpoint:
            raise
        return checkpoint, {}
    folder = _weights(location, checkpoint)
    return str(folder), read_json(location.last / RESULTS)["provenance"].get("model") or {}


def _for_vllm(folder: str, checkpoint: str, runs: Path) -> str:
    """The folder, or a copy of it (beside a round's, else in --runs) where vLLM knows its tensors by other names."""
    from harness.models.vllm_form import copy_for_vllm, has_vllms_names
    from harness.models.weights import model_digest

    path = Path(folder)
    if not (path / "config.json").is_file() or has_vllms_names(path):
        return folder
    parent = runs if folder == checkpoint or not path.is_relative_to(runs) else path.parent
    typer.echo(f"note: vLLM knows the tensors of {folder} by other names; a copy with these is served", err=True)
    return str(copy_for_vllm(path, parent / f"{path.name}-vllm-{model_digest(path)[:12]}"))  # of these weights alone


def _weights(location: Location, text: str) -> Path:
    number = list(location.rounds)[-1]
    folder = checkpoint_folder(location.run, number) if location.run and number is not None else None
    if folder is None or not (folder / "config.json").is_file():
        raise UsageError(f"{text}: no round of it left a checkpoint; name a later round of a run, or a model")
    return folder

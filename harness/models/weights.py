"""Where a model lies and what its digest is. Imports no model library: a finished run is recognised fast."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from pathlib import Path
from typing import Any

from harness.errors import DataError, ModelError
from harness.files import digest_of_bytes, digest_of_file, digest_of_json, read_json
from harness.models import hub

_LOG = logging.getLogger(__name__)

_IDENTITY_SUFFIXES = (".safetensors", ".model", ".jinja", ".tiktoken")
"""Weights, vocabularies of SentencePiece and tiktoken, chat templates."""

_IDENTITY = frozenset(
    {
        "config.json",
        "model.safetensors.index.json",
        "generation_config.json",
        "adapter_config.json",
        "open_clip_config.json",
        "preprocessor_config.json",
        "video_preprocessor_config.json",
        "processor_config.json",
        "chat_template.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tekken.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
    }
)

_VOLATILE = frozenset({"transformers_version", "_name_or_path", "_commit_hash", "peft_version"})

_LAST_CALL = ("padding", "truncation")
"""What a fast tokenizer saves of its last call, and every call sets anew."""


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, by name, without Mistral's own copy of the same weights."""
    return sorted(file for file in folder.glob("*.safetensors") if not hub.is_mistrals(file.name))


def without_weights(folder: Path) -> str:
    """The reason and the remedy for a folder that has no `weight_files`."""
    if copies := sorted(file.name for file in folder.glob("*.safetensors") if hub.is_mistrals(file.name)):
        return f"weights in Mistral's own layout only ({copies[0]}); take the model in the layout of transformers"
    return "no safetensors weights in it; convert the model, pickled weights are not loaded"


def weights_size(folder: Path) -> int:
    """Bytes of a folder's weights; raises `ModelError` where one is a link to nothing, as a broken download leaves."""
    if broken := [file for file in weight_files(folder) if not file.exists()]:
        raise ModelError(f"{broken[0]}: is a link to a file that is not there; download the model again")
    return sum(file.stat().st_size for file in weight_files(folder))


def model_folder(name: str) -> Path:
    """The local folder of a model: itself (``~`` is the home folder), or the snapshot of a hub id (with an optional
    ``@revision``)."""
    return _folder(name, name, "a shipped model, a local folder or a hub id like 'owner/model'")


def settings_folder(name: str) -> Path:
    """As `model_folder`, but of a hub id only what is small is downloaded: config, tokenizer and processor."""
    return _folder(name, name, "a shipped model, a local folder or a hub id like 'owner/model'", weights=False)


def pinned_name(name: str) -> str:
    """A hub id with the commit that its revision is now; the name of anything else, a folder say, as it is."""
    repository = hub.hub_id(name)
    if repository is None or hub.is_commit(repository.revision) or _is_local(name):
        return name
    return str(hub.pinned(repository, what=name))


def _is_local(name: str) -> bool:
    return Path(name).expanduser().exists() or (Path(name.partition("@")[0]).expanduser() / "snapshots").is_dir()


def adapter_folder(name: str) -> Path:
    """The local folder of an adapter, named as a model is; raises `ModelError` where peft saved nothing there."""
    remedy = "a folder that peft saved or a hub id like 'owner/adapter'"
    folder = _folder(name, f"adapter {name}", remedy, adapter=True)
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(f"adapter {name}: no adapter_config.json in it; name a folder that peft saved")
    if not weight_files(folder):
        raise ModelError(f"adapter {name}: no safetensors weights in it; pickled weights are not loaded")
    return folder


def tell_other_base(adapter: Path, *, name: str, folder: Path) -> None:
    """Log a line where an adapter says that it was trained on another model than the one in `folder`, which people call
    `name`. Not refused: folders are moved and renamed."""
    try:
        config = read_json(adapter / "adapter_config.json")
    except DataError:
        return  # peft refuses it too
    base, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not base or not isinstance(base, str):
        return
    trained_on = hub.origin_of(Path(base)) or hub.hub_id(base)
    origin = hub.origin_of(folder)
    if trained_on and origin:
        same = trained_on.repository.casefold() == origin.repository.casefold()
        commit = trained_on.revision or revision
        if same and hub.is_commit(commit) and commit != origin.revision:
            same, base = False, f"its commit {commit}"
    else:  # a folder has no name but its last
        last = Path(trained_on.repository if trained_on else base).name
        same = base == name or last in (folder.resolve().name, Path(origin.repository).name if origin else name)
    if not same:
        line = "adapter %s was trained on %s and is put on %s; unless both are the same weights, answers mean nothing"
        _LOG.warning(line, adapter, base, name)


def _folder(name: str, what: str, remedy: str, *, adapter: bool = False, weights: bool = True) -> Path:
    path, _, revision = name.partition("@")
    for folder, version in ((Path(name).expanduser(), None), (Path(path).expanduser(), revision or None)):
        if (folder / "snapshots").is_dir():  # a repository's folder in the hub's cache
            if snapshot := hub.snapshot_in(folder, version):
                return snapshot
            raise ModelError(
                f"{what}: no snapshot of {version or 'its main revision'} in it; name one in {folder / 'snapshots'}"
            )
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ModelError(f"{what}: is a file; name the folder that it lies in")
    if repository := hub.hub_id(name):
        return hub.snapshot(repository, what=what, adapter=adapter, weights=weights)
    raise ModelError(f"{what}: no such folder; name {remedy}")


def model_digest(folder: Path, *adapters: Path) -> str:
    """SHA-256 over all that makes a model answer as it does: weights, config, generation settings, tokenizer, chat
    template, and the processor of its pictures; of adapters as well, in their order.

    Cards, logs and the trainer's state are no part of it. In JSON files the order of keys, and what a library writes
    about itself and not about the model (`_VOLATILE`), do not count: the same model saved again has the same digest.
    Raises `ModelError` where there are no safetensors weights.
    """
    folders = [folder, *adapters]
    if not any(weight_files(each) for each in folders):
        raise ModelError(f"{folder}: {without_weights(folder)}")
    files = [file for each in folders for file in identity_files(each)]
    try:
        return digest_of_bytes(*(text.encode() for file in files for text in (file.name, _digest_of_identity(file))))
    except OSError as error:  # a link of the hub's cache whose file is gone, no right to read it
        raise ModelError(f"{error.filename}: cannot be read ({error.strerror}); download the model again") from error


def identity_files(folder: Path) -> list[Path]:
    """The files of a folder that change what a model answers, by name."""
    names = (file for file in folder.glob("*") if not hub.is_mistrals(file.name))
    return sorted(file for file in names if file.name in _IDENTITY or file.suffix in _IDENTITY_SUFFIXES)


def _digest_of_identity(file: Path) -> str:
    if file.suffix != ".json":
        return digest_of_file(file)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file}: not valid JSON ({error}); restore it from where the model came from") from error
    if file.name == "tokenizer.json" and isinstance(content, dict):
        content |= dict.fromkeys(_LAST_CALL)
    return digest_of_json(_lasting(content))


def _lasting(content: Any) -> Any:
    """A config, and the configs in it, without what does not last."""
    if not isinstance(content, dict):
        return content
    return {name: _lasting(value) for name, value in content.items() if name not in _VOLATILE}


def parameters_in(folder: Path) -> int:
    """How many numbers the weights files of a folder hold, by their headers; raises `ModelError` for a file without one
    (https://huggingface.co/docs/safetensors: eight bytes of length, then JSON)."""
    shapes = [entry["shape"] for file in weight_files(folder) for entry in header(file).values()]
    return sum(math.prod(shape) for shape in shapes)


def stored_type(folder: Path) -> str:
    """The type that most numbers in the weights files of a folder have, as safetensors names it (BF16, F32)."""
    counts: Counter[str] = Counter()
    for file in weight_files(folder):
        for entry in header(file).values():
            counts[entry["dtype"]] += math.prod(entry["shape"])
    return counts.most_common(1)[0][0]


def header(file: Path) -> dict[str, Any]:
    """The tensors of a safetensors file by name, each with its dtype, shape and place; raises `ModelError` for another
    file."""
    try:
        with file.open("rb") as stream:
            content = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        return {name: entry for name, entry in content.items() if name != "__metadata__"}
    except (OSError, ValueError, AttributeError, MemoryError, OverflowError) as error:
        raise ModelError(f"{file}: is no whole safetensors file; restore it from where the model came from") from error

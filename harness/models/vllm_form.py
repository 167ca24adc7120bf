"""Checkpoints in the form in which vLLM knows their tensors.

transformers 5 saves the CLIP tower of a LLaVA without the step `vision_model` in its tensors' names, and vLLM (0.32)
knows them with it alone: such a checkpoint is copied, its tensors unchanged, under the names that it had before.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

from harness.disks import writing
from harness.files import read_json, write_json
from harness.models.weights import header, weight_files

TOWER, TOWER_IN_VLLM = "vision_tower.", "vision_tower.vision_model."
_INDEX = "model.safetensors.index.json"


def has_vllms_names(folder: Path) -> bool:
    """Whether vLLM knows a checkpoint's tensors by the names that they have."""
    config = read_json(folder / "config.json")
    if config.get("model_type") != "llava" or config["vision_config"].get("model_type") != "clip_vision_model":
        return True
    return all(_renamed(name) == name for file in weight_files(folder) for name in header(file))


def copy_for_vllm(folder: Path, out: Path) -> Path:
    """The checkpoint with vLLM's names in `out`, which is written whole or not at all, and kept where it is there."""
    if out.is_dir():
        return out
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        copy = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            shutil.copytree(folder, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors", _INDEX))
            for file in weight_files(folder):
                tensors = {_renamed(name): tensor for name, tensor in load_file(file).items()}
                save_file(tensors, copy / file.name, metadata={"format": "pt"})
            if (folder / _INDEX).is_file():
                index = read_json(folder / _INDEX)
                files = {_renamed(name): file for name, file in index["weight_map"].items()}
                write_json(copy / _INDEX, {**index, "weight_map": files})
            copy.chmod(0o755)
            copy.replace(out)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
    return out


def _renamed(name: str) -> str:
    """A tensor's name in vLLM."""
    before, tower, rest = name.partition(TOWER)
    if not tower or rest.startswith("vision_model."):
        return name
    return f"{before}{TOWER_IN_VLLM}{rest}"

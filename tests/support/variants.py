"""Copies of a model's folder with one thing changed: a weight, a setting, a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.errors import ModelError
from harness.models.load import load_vlm

Weights = dict[str, Tensor]


def variant(
    base: Path,
    folder: Path,
    *,
    weights: Callable[[Weights], Weights] | None = None,
    json_files: Mapping[str, Mapping[str, Any]] | None = None,
    texts: Mapping[str, str | None] | None = None,
) -> Path:
    """A copy of `base`: its weights changed by a function, fields of its JSON files set (a mapping goes into the
    mapping that is there, `...` takes a field out), files written with a text (None: removed)."""
    shutil.copytree(base, folder, dirs_exist_ok=True)
    if weights:
        for file in folder.glob("*.safetensors"):
            save_file(weights(load_file(file)), file, metadata={"format": "pt"})
    for name, changes in (json_files or {}).items():
        file = folder / name
        content = json.loads(file.read_text()) if file.is_file() else {}
        _set(content, changes)
        file.write_text(json.dumps(content))
    for name, text in (texts or {}).items():
        (folder / name).unlink(missing_ok=True)
        if text is not None:
            (folder / name).write_text(text)
    return folder


def complaint_of(folder: Path) -> str:
    """The one line in which a model is refused, under the name m."""
    with pytest.raises(ModelError) as caught:
        load_vlm("m", path=folder, device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _set(content: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for field, value in changes.items():
        if value is ...:
            content.pop(field, None)
        elif isinstance(value, Mapping) and isinstance(content.get(field), dict):
            _set(content[field], value)
        else:
            content[field] = value

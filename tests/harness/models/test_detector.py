"""Object detectors of transformers, whole or refused; a picture's boxes do not depend on its neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from harness.errors import ModelError
from harness.models.detector import load_detector
from tests.support.detectors import save_detector

RED, WIDE = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (60, 20), "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_detector(tmp_path_factory.mktemp("detector"))


def test_each_class_has_the_best_score_of_its_boxes_whatever_is_beside_the_picture(folder: Path) -> None:
    detector = load_detector(str(folder), device="cpu")
    assert detector.classes == {"cat", "hot dog"}
    alone = [detector.scores([picture])[0] for picture in (RED, WIDE)]
    together = detector.scores([RED, WIDE, RED])
    for best, again in zip([*alone, alone[0]], together, strict=True):
        assert best.keys() == again.keys() <= {"cat", "hot dog"}
        assert [best[name] for name in best] == [pytest.approx(again[name], abs=1e-5) for name in best]
        assert all(0 < score < 1 for score in best.values())
    assert detector.costs["verifier_pictures"] == 5
    assert detector.costs["verifier_passes"] == 4
    assert detector.computed == {"device": "cpu", "dtype": "float32"}


def test_weights_that_are_missing_are_not_made_up(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = load_file(broken / "model.safetensors")
    gone = next(name for name in weights if "class_labels_classifier" in name)
    save_file({name: each for name, each in weights.items() if name != gone}, broken / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(ModelError, match="1 weight of the model is not in its files, such as class_labels"):
        load_detector(str(broken))


def test_classes_without_names_are_refused(folder: Path, tmp_path: Path) -> None:
    unnamed = tmp_path / "unnamed"
    unnamed.mkdir()
    for file in folder.iterdir():
        (unnamed / file.name).write_bytes(file.read_bytes())
    config = json.loads((unnamed / "config.json").read_text())
    config["id2label"] = {str(number): f"LABEL_{number}" for number in range(3)}
    (unnamed / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="its classes have no names; write id2label into its config"):
        load_detector(str(unnamed))


def test_what_is_no_detector_is_a_line_with_the_remedy(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(ModelError, match="no safetensors weights in it"):
        load_detector(str(tmp_path))
    with pytest.raises(ModelError, match="does not load as an object-detection model; name a folder or hub id of DETR"):
        load_detector(str(tiny))


def test_nothing_random_is_left(folder: Path) -> None:
    torch.manual_seed(5)
    assert load_detector(str(folder)).scores([RED]) == load_detector(str(folder)).scores([RED])

"""`strop plan` tells what each stage of a recipe takes of memory, and what to change where it does not fit, from a
folder that holds no weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForObjectDetection

from tests.support.detectors import save_detector
from tests.support.families import FAMILIES
from tests.support.shell import Strop

pytestmark = pytest.mark.slow

ALONE = ("--set", "verify.kind=none")
SMALL = ("--set", "collect.max_tokens=8", "--set", "optimise.trl.per_device_train_batch_size=4", "--picture", "84x84")


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-VL without weights: config.json and the files of its processor."""
    folder = tmp_path_factory.mktemp("qwen")
    member = FAMILIES["qwen2_5_vl"]()
    member.model.config.save_pretrained(folder)
    member.processor.save_pretrained(folder)
    return folder


def _plan(strop: Strop, *words: object) -> dict[str, Any]:
    ran = strop("plan", "judge_free", "--json", *words, *SMALL)
    assert ran.code == 0, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    return document


def test_each_stage_has_its_memory_and_the_total_is_the_sum(strop: Strop, described: Path) -> None:
    plan = _plan(strop, "--model", described, "--device-memory", "2GB")
    assert list(plan["stages"]) == ["eval", "baselines", "collect", "verify", "optimise", "watch"]
    assert (plan["device"], plan["room"], plan["processor"]) == ("cuda", 1_800_000_000, True)
    assert sum(plan["parts"].values()) == plan["weights"] == 220_064
    for stage in plan["stages"].values():
        assert stage["total"] == sum(stage[name] for name in ("weights", "cache", "activations", "optimiser"))
        assert stage["fits"]
    assert plan["stages"]["eval"]["at_once"] == 192
    assert plan["stages"]["verify"]["weights"] == plan["stages"]["baselines"]["weights"] > 0
    largest = max(("eval", "verify"), key=lambda name: int(plan["stages"][name]["total"]))
    assert plan["stages"]["watch"] == plan["stages"][largest]


def test_what_is_not_watched_has_no_row(strop: Strop, described: Path) -> None:
    assert "watch" not in _plan(strop, "--model", described, "--set", "watch=null")["stages"]


def test_a_detector_has_its_row(strop: Strop, described: Path, tmp_path: Path) -> None:
    folder = save_detector(tmp_path / "detector")
    detector = AutoModelForObjectDetection.from_pretrained(folder)
    words = ("--set", "verify.kind=detector", "--set", f"verify.model={folder}", "--set", "watch=null")
    stage = _plan(strop, "--model", described, *words)["stages"]["verify"]
    assert (stage["dtype"], stage["weights"]) == ("float32", 4 * detector.num_parameters())
    assert stage["activations"] > 16 * 3 * 32 * 32 * 4, "pictures of a batch, as its processor makes them"


def test_a_batch_is_halved_as_the_engine_halves_it_and_training_is_told_what_makes_it_fit(
    strop: Strop, described: Path
) -> None:
    whole = _plan(strop, "--model", described, *ALONE, "--device-memory", "2GB")["stages"]
    words = ("--model", described, *ALONE, "--device-memory", str(whole["optimise"]["total"]))  # less a tenth
    plan = _plan(strop, *words)
    rows = {name: plan["stages"][name]["at_once"] for name in ("eval", "collect")}
    for name, count in rows.items():
        each = (whole[name]["total"] - whole[name]["weights"]) / 192
        assert whole[name]["weights"] + count * each <= plan["room"] < whole[name]["weights"] + 2 * count * each
    trained = plan["stages"]["optimise"]
    assert (trained["fits"], trained["at_once"]) == (False, 4)
    changes = [word for change in trained["remedy"] for word in ("--set", change)]
    assert trained["remedied"]["total"] <= plan["room"] < trained["total"]
    again = _plan(strop, *words, *changes)["stages"]["optimise"]
    assert again["fits"]
    assert again["total"] == trained["remedied"]["total"]


def test_config_alone_is_enough_for_pictures_of_one_size_and_for_patches(
    strop: Strop, described: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(described / "config.json", alone)
    words = ("--model", alone, "--set", "rounds=0")
    plan = _plan(strop, *words)
    assert (plan["processor"], plan["question"]) == (False, {"tokens": 64 + 9, "picture_tokens": 9})
    ran = strop("plan", "judge_free", *words, *SMALL)
    assert "by config.json alone: the files of its processor are not there" in ran.out


def test_a_model_that_config_alone_does_not_describe_asks_for_its_processor(strop: Strop, tmp_path: Path) -> None:
    FAMILIES["smolvlm"]().model.config.save_pretrained(tmp_path / "smol")
    error = strop("plan", "judge_free", "--model", "smol", *SMALL).error()
    assert error.startswith("smol: config.json alone does not say what it makes of a picture; put the files of its")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "nowhere/"), "nowhere/: no such folder; name a shipped model, a local folder or a hub id"),
        (("--device-memory", "many"), "--device-memory many: is no size; write 80GB, 24GiB, or bytes"),
        (("--picture", "640"), "--picture 640: is no size in pixels; write 640x480"),
        (("--model", "empty"), "empty: no config.json in it; name a folder with one, or a hub id"),
        (("--set", "optimise.trl.beta=-1"), "optimise.trl.beta: must be above 0, found -1"),
    ],
)
def test_a_mistake_is_one_line(strop: Strop, words: tuple[str, ...], message: str) -> None:
    Path("empty").mkdir()
    assert strop("plan", "judge_free", *words).error().startswith(message)


def test_only_measuring_is_one_stage_and_four_bits_are_planned_as_such(strop: Strop, described: Path) -> None:
    words = ("--model", described, *ALONE, "--device-memory", "2GB")
    assert list(_plan(strop, *words, "--set", "rounds=0")["stages"]) == ["eval"]
    packed = _plan(strop, *words, "--set", "optimise.quantise=nf4", "--set", "optimise.dtype=bfloat16")
    assert packed["stages"]["optimise"]["dtype"] == "nf4"
    assert packed["stages"]["optimise"]["weights"] < 2 * packed["weights"] + packed["stages"]["optimise"]["optimiser"]

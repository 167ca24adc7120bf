"""LLaVA-1.5 is shown whole pictures, padded to squares, and what is shown is told wherever figures stand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from transformers import CLIPImageProcessor
from transformers.models.llava.image_processing_llava import LlavaImageProcessor
from typer.testing import CliRunner

from harness.errors import UsageError
from harness.files import write_json
from harness.models.frames import Frame, Pictures, frame_of
from harness.models.load import load_vlm
from harness.models.prompts import PromptReader
from harness.models.vlm import Vlm
from harness.results import read_results
from harness.types import Sample, Sampling
from loops.recipe import Recipe
from loops.run import plan_recipe, run_recipe
from loops.setting import Bar, Setting
from strop.app import app
from tasks.grounding.marks import score_framed
from tasks.pictos.training.build import processor
from tasks.registry import find_task, training_pool
from tests.support.tiny import llama_like_processor, save_tiny

pytestmark = pytest.mark.slow

MEAN = (122, 116, 104)
"""int(255 * mean) of CLIP's mean colour (0.48145466, 0.4578275, 0.40821073)."""


def _edge() -> Image.Image:
    """640 x 480, grey, with a red bar 60 pixels wide at its left edge: box (0, 120, 60, 240)."""
    picture = Image.new("RGB", (640, 480), (128, 128, 128))
    ImageDraw.Draw(picture).rectangle((0, 120, 59, 359), fill=(255, 0, 0))
    return picture


EDGE = Sample(id="edge", prompt="What do you see?", images=(_edge,), target=None, cluster="edge")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub lays LLaVA-1.5 out: picture settings in a file of their own."""
    folder = save_tiny(tmp_path_factory.mktemp("hub"), seed=1, reads=llama_like_processor())
    written = json.loads((folder / "processor_config.json").read_text())
    write_json(folder / "preprocessor_config.json", written.pop("image_processor"))
    write_json(folder / "processor_config.json", written)
    return folder


def _load(folder: Path, pictures: Pictures | None = None) -> Vlm:
    return load_vlm("tiny", path=folder, device="cpu", pictures=pictures)


def _seen(vlm: Vlm) -> torch.Tensor:
    """The picture's pixels as they reach the model, (3, 64, 64), in 0..255."""
    pixels = vlm.reader.heads([EDGE]).batches[0].pixels
    settings = vlm.processor.image_processor
    mean, std = (torch.tensor(list(several))[:, None, None] for several in (settings.image_mean, settings.image_std))
    results: torch.Tensor = (pixels["pixel_values"][0] * std + mean) * 255
    return results


def _red(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels[0] > 200) & (pixels[1] < 80)


def test_the_hubs_llava_is_shown_the_edge_of_a_picture(hub: Path) -> None:
    vlm = _load(hub)
    assert (vlm.frame.pictures, vlm.about["pictures"]) == ("pad", "padded")
    pixels = _seen(vlm)
    rows, columns = torch.nonzero(_red(pixels), as_tuple=True)
    # 60 of 640 pixels at the left, 120 + 80 to 360 + 80 of 640 from the top, ten to one
    assert (int(columns.min()), int(columns.max())) == (0, 5)
    assert (int(rows.min()), int(rows.max())) == (20, 43)
    for row in (0, 63):
        assert torch.allclose(pixels[:, row].mean(1), torch.tensor(MEAN).float(), atol=1)


def test_its_stored_processor_cuts_the_edge_off_where_that_is_asked_for(hub: Path) -> None:
    vlm = _load(hub, "processor")
    assert (vlm.frame.pictures, vlm.about["pictures"]) == ("processor", "cropped")
    assert not _red(_seen(vlm)).any()


def test_the_box_of_what_is_seen_is_read_where_it_is_seen(hub: Path) -> None:
    rows, columns = torch.nonzero(_red(_seen(_load(hub))), as_tuple=True)
    edges = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
    answer = str([edge / 64 for edge in edges])
    box = (0.0, 120.0, 60.0, 240.0)
    assert score_framed(box, answer, (640, 480), "llava").value == 1.0
    # of the picture itself it would be 150 to 330 from the top, of 120 to 360
    assert score_framed(box, answer, (640, 480), "strict").value == 0.75


def test_padding_is_that_of_llavas_authors() -> None:
    """transformers' own LLaVA processor pads as they do; nothing hinges on resizing here."""
    rng = np.random.default_rng(0)
    frame = frame_of(CLIPImageProcessor(), "pad")
    theirs = LlavaImageProcessor(
        do_pad=True, do_resize=False, do_center_crop=False, do_rescale=False, do_normalize=False
    )
    for width, height in ((31, 20), (20, 31), (7, 8), (9, 9)):
        picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        expected = theirs(picture, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
        assert frame.colour == MEAN
        assert np.array_equal(np.asarray(frame.show(picture)), expected)


def test_nothing_is_padded_where_nothing_would_be_cut_off() -> None:
    for settings in (processor().image_processor, CLIPImageProcessor(do_center_crop=False)):
        frame = frame_of(settings)
        assert (frame.pictures, frame.sight) == ("processor", "whole")
        picture = _edge()
        assert frame.show(picture) is picture
    assert frame_of(LlavaImageProcessor(do_pad=True)).sight == "padded"
    assert frame_of(processor().image_processor, "pad").sight == "padded"
    square = Image.new("RGB", (64, 64))
    assert frame_of(CLIPImageProcessor()).show(square) is square


def test_answers_about_other_sights_are_other_answers(hub: Path) -> None:
    padded, cropped = _load(hub), _load(hub, "processor")
    assert padded.settings == _load(hub, "pad").settings != cropped.settings
    greedy = Sampling(max_tokens=12)
    assert padded.generate([EDGE], greedy) != cropped.generate([EDGE], greedy)


def test_results_tell_what_was_seen(hub: Path, tmp_path: Path) -> None:
    words = ["eval", "--model", str(hub), "--tasks", "pictos_captions", "--limit", "2", "--device", "cpu"]
    for pictures, sight, messages in (
        ([], "padded", "pictures were padded to squares"),
        (["--pictures", "processor"], "cropped", "pictures were cut to their middle squares"),
    ):
        out = tmp_path / sight
        ran = CliRunner().invoke(app, [*words, *pictures, "--out", str(out)])
        assert ran.exit_code == 0, ran.output
        assert messages in ran.stdout
        assert read_results(out).sight == sight


@pytest.mark.parametrize("pictures", [None, "processor"])
def test_a_recipe_asks_and_trains_on_the_same_pictures(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: Pictures | None
) -> None:
    """The frames of all that a run makes: its check, two evaluations and watches, collection, training."""
    frames: list[str] = []
    making = PromptReader.__init__

    def listening(self: PromptReader, processor: Any, frame: Frame, **others: Any) -> None:
        frames.append(frame.pictures)
        making(self, processor, frame, **others)

    monkeypatch.setattr(PromptReader, "__init__", listening)
    run_recipe(_recipe(pictures), tmp_path / "run", _setting(hub))
    assert frames == [pictures or "pad"] * 7


def test_stages_that_show_pictures_depend_on_how(hub: Path) -> None:
    plans = [plan_recipe(_recipe(pictures), _setting(hub)) for pictures in (None, "pad", "processor")]
    for name, key in plans[0].items():
        assert len({key, plans[1][name], plans[2][name]}) == 3, f"{name} shows them, or goes on from what did"


def _recipe(pictures: Pictures | None) -> Recipe:
    trl = {"max_steps": 1, "per_device_train_batch_size": 2}
    collect = {"samples": 8, "temperature": 1.5, "max_tokens": 12, "unfinished": "keep", "max_unfinished": 1}
    fields = {"name": "small", "level": "L3", "model": "tiny", "pictures": pictures, "rounds": 1,
              "collect": collect, "verify": {"kind": "random"},
              "optimise": {"trl": trl}, "evaluate": {"limit": 2, "tasks": ["pictos_captions"]}}  # fmt: skip
    return Recipe.model_validate(fields)


def _setting(hub: Path) -> Setting:
    @contextmanager
    def no_bars() -> Iterator[Bar]:
        yield lambda description, total: lambda count: None

    return Setting(
        tasks={"pictos_captions": find_task("pictos_captions")},
        pool=training_pool,
        shipped=lambda name: hub if name == "tiny" else None,
        bars=no_bars,
    )


def test_a_served_model_is_shown_pictures_by_its_server(tmp_path: Path) -> None:
    words = ["--endpoint", "http://localhost:1/v1", "--tasks", "pictos_pope", "--out", str(tmp_path)]
    error = CliRunner().invoke(app, ["eval", "--model", "x", "--pictures", "pad", *words]).exception
    assert isinstance(error, UsageError)
    assert str(error) == "--pictures is for a model that is loaded here; leave it away with an endpoint"

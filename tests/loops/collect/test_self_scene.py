"""The model describes what it is not shown, and is asked about the picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.errors import RecipeError, RunError
from harness.pictures import open_picture
from harness.types import Picture, Sample, Sampling
from loops.collect.self_scene import SelfScene
from loops.groups import Pair, keep_pictures, read_groups, read_rows, write_groups, write_rows
from loops.recipe import load_recipe
from loops.verify.clip import Clip
from loops.verify.none import NoVerifier
from loops.verify.random import Random
from strop.running import setting
from tasks.data.root import DataRoot
from tasks.pictos.benchmarks import caption_samples
from tests.support.recipes import JUDGE_FREE
from tests.support.speaker import Speaker

SAMPLES = caption_samples("pool", 4)


def _says(sample: Sample, sampling: Sampling, draw: int) -> str:
    if sample.images:
        return f"A picture of {open_picture(sample.images[0]).width} pixels."
    return "Nothing." if sample.id == SAMPLES[1].id else f"Size {8 + len(sample.prompt) % 3}."


def _draw(text: str, seed: int) -> Picture | None:
    return None if text == "Nothing." else lambda: Image.new("RGB", (int(text[5:-1]), 4))


def _groups(**fields: Any) -> Any:
    return SelfScene(**fields).ask(Speaker(_says), SAMPLES, seed=0, draw=_draw)  # type: ignore[arg-type]


def test_a_description_stands_against_the_answer_to_its_picture() -> None:
    groups = _groups(imagine="Imagine a scene.")
    size = 8 + len("Imagine a scene.") % 3
    assert [group.sample.id for group in groups] == [f"self-made/{SAMPLES[number].id}" for number in (0, 2, 3)]
    assert {group.answers for group in groups} == {(f"Size {size}.", f"A picture of {size} pixels.")}
    assert {group.sample.prompt for group in groups} == {SAMPLES[0].prompt}, "rows ask about the picture"


def test_where_nothing_can_be_drawn_that_is_told() -> None:
    with pytest.raises(
        RunError, match=r"nothing that the model described can be drawn \('Size \d+\.'\); set another coll"
    ):
        SelfScene().ask(Speaker(_says), SAMPLES[:1], seed=0)  # type: ignore[arg-type]


def test_pictures_of_its_own_are_kept_with_the_groups_and_found_from_every_stage(tmp_path: Path) -> None:
    collect, verify = tmp_path / "round-1/collect", tmp_path / "round-1/.verify.partial"
    groups = keep_pictures(_groups(), collect)
    write_groups(collect / "groups.jsonl", groups)
    again = read_groups(collect / "groups.jsonl", SAMPLES)
    assert [open_picture(group.sample.images[0]).size for group in again] == [
        open_picture(group.sample.images[0]).size for group in groups
    ]
    verify.mkdir()
    write_groups(verify / "groups.jsonl", again)
    (verify / "groups.jsonl").rename(tmp_path / "round-1/groups.jsonl")
    verify.rename(tmp_path / "round-1/select")
    pairs = [Pair(sample=again[0].sample, chosen="a", rejected="b", reversed=False)]
    write_rows(tmp_path / "round-1/select/pairs.jsonl", pairs)
    (pair,) = read_rows(tmp_path / "round-1/select/pairs.jsonl", SAMPLES)
    assert open_picture(pair.sample.images[0]).tobytes() == open_picture(groups[0].sample.images[0]).tobytes()
    assert (pair.sample.id, pair.sample.prompt) == (groups[0].sample.id, groups[0].sample.prompt)


def test_nobody_else_judges_what_it_makes_up() -> None:
    assert [SelfScene().level(verifier) for verifier in (NoVerifier(), Clip(), Random())] == ["L5", "L3", "control"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "verify.kind=oracle",
            "verify.kind oracle: pictures that the model makes up are in no task; take none, or clip",
        ),
        ("source=folder:my", "collect.kind self_scene: source folder:my is no world that draws what a text describes"),
    ],
)
def test_what_cannot_work_is_refused(change: str, message: str) -> None:
    study = load_recipe(JUDGE_FREE, ["collect.kind=self_scene", change]).study(setting(DataRoot()))
    with pytest.raises(RecipeError, match="^" + message.replace(".", r"\.")):
        study.collect.refuse(study)

"""A picture that is measured on is found among those that are trained on, also as a copy that lost something."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

from harness.likeness import BITS_APART, Album, fingerprint
from harness.overlap import Shown, without_shared
from harness.types import Sample
from loops.notes import notes_of_run
from loops.recipe import Recipe
from tasks.pictos.benchmarks import caption_samples
from tests.support.worlds import write_run, yes_no

SCENES = [sample.images[0]() for sample in caption_samples("dev", 120) if callable(sample.images[0])]


def _saved(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


@pytest.mark.parametrize(
    "copied",
    [lambda image: image.resize((224, 168)), lambda image: _saved(image.resize((128, 128)), 50)],
    ids=["scaled", "scaled and saved again"],
)
def test_a_copy_is_recognised_among_scenes_that_are_much_alike(copied: Callable[[Image.Image], Image.Image]) -> None:
    album = Album({str(number): print for number, scene in enumerate(SCENES) if (print := fingerprint(scene))})
    for number in range(0, 120, 10):
        print_of_copy = fingerprint(copied(SCENES[number]))
        assert print_of_copy is not None
        assert album.copies(print_of_copy) == [str(number)]


def test_half_of_a_hash_lies_above_the_median() -> None:
    prints = [fingerprint(scene) for scene in SCENES[:8]]
    assert {int(np.bitwise_count(each.bits)) for each in prints if each} == {32}


def test_pictures_of_one_layout_that_differ_in_a_part_are_two() -> None:
    """Maps and charts: their hashes are alike."""

    def drawn(marked: str) -> Image.Image:
        image = Image.new("RGB", (320, 240), "white")
        pen = ImageDraw.Draw(image)
        for place, name in enumerate("abcd"):
            box = (20 + 70 * place, 40, 80 + 70 * place, 200)
            pen.rectangle(box, fill=(40, 120, 40) if name == marked else (150, 70, 10), outline="black", width=4)
        return image

    first, second = fingerprint(drawn("a")), fingerprint(drawn("b"))
    assert first is not None and second is not None
    assert np.bitwise_count(first.bits ^ second.bits) <= BITS_APART
    assert Album({"a": first}).copies(second) == []


def test_a_picture_of_one_colour_has_nothing_to_be_recognised_by() -> None:
    assert fingerprint(Image.new("RGB", (64, 64), (90, 90, 90))) is None


def _sample(name: str, image: Image.Image) -> Sample:
    return Sample(id=name, prompt="?", images=(partial(_itself, image),), target=None, cluster=name)


def _itself(image: Image.Image) -> Image.Image:
    return image


def test_what_is_shared_is_named_with_what_it_is_a_copy_of() -> None:
    trained = Shown(_sample(f"mine {number}", SCENES[number]) for number in range(4))
    tested = [_sample("theirs", SCENES[2]), _sample("other", SCENES[9]), _sample("small", SCENES[1].resize((48, 48)))]
    assert trained.shared_with(tested) == ["mine 1 as a copy of small", "mine 2"]


def _asked(name: str, prompt: str) -> Sample:
    return Sample(id=name, prompt=prompt, images=(), target=None, cluster=name)


def test_a_question_without_a_picture_is_the_same_whatever_the_order_of_its_options() -> None:
    tested = [_asked("test", "Which is  a Metal?\nA. iron\nB. wood"), _sample("picture", SCENES[3])]
    trained = [
        _asked("twin", "Which is a metal?\nA. wood\nB. iron"),
        _asked("other", "Which is a metal?\nA. wood\nB. tin"),
        _sample("copy", SCENES[3].resize((48, 48))),
        _sample("own", SCENES[4]),
    ]
    shown = Shown(trained)
    assert (shown.noun, shown.counts) == ("pictures and questions", "2 pictures and 2 questions")
    assert shown.shared_with(tested) == ["copy as a copy of picture", "twin"]
    assert [sample.id for sample in without_shared(trained, tested)] == ["other", "own"]


def test_an_overlap_is_allowed_by_the_name_of_a_task_that_is_looked_at() -> None:
    fields = {"name": "x", "evaluate": {"tasks": ["pope"]}, "allow_overlap": ["pope"]}
    assert Recipe.model_validate(fields).allow_overlap == ("pope",)
    with pytest.raises(ValueError, match="allow_overlap' names pop, which is neither measured nor watched"):
        Recipe.model_validate({**fields, "allow_overlap": ["pop"]})


def test_a_run_that_was_allowed_an_overlap_says_so(tmp_path: Path) -> None:
    write_run(tmp_path, [[yes_no([1] * 4)]])
    recipe = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "allow_overlap": ["quiz"]}))
    assert notes_of_run(tmp_path)[0].startswith("pictures of quiz were allowed to be trained on (allow_overlap): ")

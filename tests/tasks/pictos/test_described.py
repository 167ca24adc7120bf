"""What is described is drawn, so that all of it is true and nothing else is there."""

from __future__ import annotations

import pytest

from harness.pictures import open_picture
from harness.sentences import split_sentences
from harness.types import Drawing
from tasks.pictos.benchmarks import PictosCaptions
from tasks.pictos.described import DescribedPicture, read_claims, scene_of
from tasks.pictos.language import caption
from tasks.pictos.world import compose, seeds_of


def test_captions_are_read_as_they_were_written() -> None:
    for seed in seeds_of("dev", 100):
        text = caption(compose(seed))
        spoken = read_claims(text)
        assert spoken is not None
        assert " ".join(claim.sentence() for claim in spoken) == text


@pytest.mark.parametrize(
    "text", ["", "A cat sat.", "A cat on the left. A cat on the right.", "A cat on the left. Sure.", "No cats."]
)
def test_what_is_no_caption_describes_nothing(text: str) -> None:
    assert read_claims(text) is None
    assert scene_of(text, 0) is None


def test_a_scene_is_as_it_was_described() -> None:
    texts = [
        "A cat on the left.",
        "A small dog on the right. A large pizza in the middle.",
        "Two dogs on the left. A kite on the right.",
    ]
    for text in texts:
        scene = scene_of(text, 7)
        assert scene is not None
        assert set(split_sentences(caption(scene))) == set(split_sentences(text))


def test_most_of_what_scenes_show_can_be_drawn_anew() -> None:
    texts = [caption(compose(seed)) for seed in seeds_of("dev", 60)]
    assert sum(scene_of(text, 1) is not None for text in texts) >= 45


def test_a_picture_follows_from_its_description_and_its_seed() -> None:
    task, text = PictosCaptions(), "A cat on the left. A dog on the right."
    assert isinstance(task, Drawing)
    first, again, other = (task.picture_of(text, seed) for seed in (1, 1, 2))
    assert first is not None
    assert first == again
    assert other is not None
    assert open_picture(first).tobytes() == open_picture(DescribedPicture(text, 1)).tobytes()
    assert open_picture(first).tobytes() != open_picture(other).tobytes()
    assert task.picture_of("Hello.", 1) is None

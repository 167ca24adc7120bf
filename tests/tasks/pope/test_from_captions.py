"""Yes-or-no questions made of captions say what the captions say, as often yes as no."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tasks.data.captioned import CaptionedPicture
from tasks.pope.from_captions import caption_questions, with_caption_questions

INSTRUCTION = "Answer the question using a single word or phrase."


def test_as_many_objects_are_asked_for_that_are_named_as_that_are_not() -> None:
    named = {"a": ["cat", "dog", "cup"], "b": ["cat"], "c": [], "d": ["dog", "cup"]}
    questions = caption_questions(named, np.random.default_rng(0))
    assert {picture: len(pairs) for picture, pairs in questions.items()} == {"a": 0, "b": 2, "c": 0, "d": 2}
    assert all(there == (name in named[picture]) for picture, pairs in questions.items() for name, there in pairs)


def test_captions_are_read_by_chairs_words_and_asked_about_in_popes(tmp_path: Path) -> None:
    (tmp_path / "synonyms.json").write_text(json.dumps({"cat": ["cat", "kitten"], "umbrella": ["umbrella"]}))
    (tmp_path / "double_words.json").write_text("{}")
    own = ("What is it?", "A cat")
    pictures = [
        CaptionedPicture(picture=Path("1.jpg"), captions=("Two kittens sleep.",), questions=(own,)),
        CaptionedPicture(picture=Path("2.jpg"), captions=("An umbrella is open.", "It rains.")),
    ]
    first, second = with_caption_questions(pictures, tmp_path, tmp_path)
    cat, umbrella = f"Is there a cat in the image?\n{INSTRUCTION}", f"Is there an umbrella in the image?\n{INSTRUCTION}"
    assert first.questions == (own, (cat, "Yes"), (umbrella, "No"))
    assert second.questions == ((umbrella, "Yes"), (cat, "No"))
    assert second.captions == pictures[1].captions

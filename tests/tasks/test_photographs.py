"""The photographs of the conformance data open as they should, and are what expected.json says of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from harness.files import read_json, read_jsonl
from harness.pictures import open_picture
from tasks.chair.answers import load_answers
from tasks.reading.object_words import load_tables


def test_cocos_photographs_open_and_their_truths_are_those_counted(conformance: Path, expected: dict[str, Any]) -> None:
    figures, folder = expected["photos_coco"]["recomputed"], conformance / "photos_coco"
    truth, captions = (read_json(folder / name) for name in ("objects.json", "captions_for_photos.json"))
    pictures = [open_picture(path) for path in sorted((folder / "photos").iterdir())]
    assert {picture.mode for picture in pictures} == {"RGB"}
    assert (len(pictures), len(truth)) == (figures["photos"], figures["photos"])
    assert sum(picture.size == (256, 256) for picture in pictures) == figures["size_256x256"]
    for build in ("areebol", "maxlinn"):
        objects = [value["objects"][build] for value in truth.values()]
        assert len(set().union(*objects)) == figures["classes"][build]
        assert sum(map(len, objects)) == figures["object_entries"][build]
        assert objects.count([]) == figures["photos_without_objects"][build]
    differ = [image for image, value in truth.items() if value["objects"]["areebol"] != value["objects"]["maxlinn"]]
    assert sorted(differ, key=int) == figures["photos_where_builds_differ"]
    assert (len(captions), {len(caption) for caption in captions.values()}) == (
        figures["with_captions"],
        {figures["captions_each"]},
    )


def test_which_photographs_other_benchmarks_ask_about(conformance: Path, expected: dict[str, Any]) -> None:
    figures, here = expected["photos_coco"]["recomputed"], set(read_json(conformance / "photos_coco/objects.json"))
    (greedy,) = conformance.rglob("greedy.jsonl*")
    tables, words = load_tables(conformance / "chair"), str.split
    opera = load_answers(greedy, conformance / "chair/ground_truth_maxlinn.json.gz", tables=tables, words=words)
    assert sorted(int(sample.id) for sample in opera.samples if sample.id in here) == figures["in_opera_500"]
    questions = {row["image"] for path in conformance.rglob("coco_pope_*.json") for row in read_jsonl(path)}
    assert len(questions) == 500
    assert [name for name in questions if str(int(name[-16:-4])) in here] == figures["in_pope"]


def test_flickr8ks_photographs_open_with_five_captions_each(conformance: Path, expected: dict[str, Any]) -> None:
    figures, folder = expected["photos_flickr8k"]["recomputed"], conformance / "photos_flickr8k"
    captions, splits = read_json(folder / "captions.json"), read_json(folder / "splits.json")
    names = {path.name for path in (folder / "photos").iterdir() if open_picture(path).mode == "RGB"}
    assert (len(names), names) == (figures["photos"], set(captions))
    assert sum(map(len, captions.values())) == figures["captions"]
    assert sorted({len(caption) for caption in captions.values()}) == figures["each"]
    assert {split: len(several) for split, several in splits["official"].items()} == figures["official"]
    split_of = {name: split for split, several in splits["official"].items() for name in several}
    assert Counter(split_of.get(name, "none") for name in names) == figures["present"]
    assert {split: set(several) for split, several in splits["present"].items() if split != "none"} == {
        split: names & set(several) for split, several in splits["official"].items()
    }

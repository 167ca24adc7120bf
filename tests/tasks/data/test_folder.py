"""Where tasks find their pictures in the data folder."""

from __future__ import annotations

from pathlib import Path

from tasks.data.folder import coco_picture


def test_a_picture_lies_where_its_name_or_its_annotations_say(empty: Path) -> None:
    for folder in ("pope/val2014", "pope/train2014", "chair/val2017", "pope/train2017"):
        (empty / folder).mkdir(parents=True)
    (empty / "pope/train2017/7.jpg").touch()
    both = ["instances_val2017.json", "instances_train2017.json"]
    for name, named_by, folder in (
        ("COCO_val2014_7.jpg", [], "pope/val2014"),
        ("COCO_train2014_7.jpg", both, "pope/train2014"),
        ("8.jpg", both[:1], "chair/val2017"),
        ("7.jpg", both, "pope/train2017"),
        ("7.jpg", ["instances_mine.json"], "pope/val2014"),
    ):
        assert coco_picture(empty, "ic", name, named_by) == empty / folder / name

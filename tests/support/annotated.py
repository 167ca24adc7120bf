"""COCO annotations small enough to read in a test, and the words for what the embedded world's annotations name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.files import write_json
from tasks.pictos.catalogue import CATEGORIES
from tasks.reading.object_words import ChairTables


def annotate(
    folder: Path,
    objects: Mapping[int, Sequence[str]],
    text: Mapping[int, Sequence[str]] | None = None,
    name: str = "",
    *,
    crowds: bool = False,
) -> Path:
    """A folder of COCO files: image id -> names of its annotated objects, image id -> its captions.

    With `crowds` every annotation is one of a crowd: the objects are there and nobody counted them.
    """
    categories = sorted({name for names in objects.values() for name in names})
    images = [{"id": image, "file_name": f"{image}.jpg"} for image in objects]
    pairs = [(image, name) for image, names in objects.items() for name in names]
    rows = [
        {
            "id": number,
            "image_id": image,
            "category_id": categories.index(item),
            "bbox": [0, 0, 1, 1],
            "iscrowd": int(crowds),
        }
        for number, (image, item) in enumerate(pairs)
    ]
    entries = [{"id": number, "name": category} for number, category in enumerate(categories)]
    write_json(folder / f"instances_{name}.json", {"images": images, "annotations": rows, "categories": entries})
    if text is not None:
        sentences = [(image, caption) for image, captions in text.items() for caption in captions]
        rows = [{"id": n, "image_id": image, "caption": caption} for n, (image, caption) in enumerate(sentences)]
        images = [{"id": image, "file_name": f"{image}.jpg"} for image in text]
        write_json(folder / f"captions_{name}.json", {"images": images, "annotations": rows})
    return folder


def pictos_tables(words: Callable[[str], list[str]]) -> ChairTables:
    """The embedded world's names as a normaliser leaves them: "sports balls" as "sport ball"."""
    forms = {
        category.name: sorted({" ".join(words(form)) for form in (category.name, category.plural)})
        for category in CATEGORIES
    }
    pairs = {form: form for both in forms.values() for form in both if " " in form}
    return ChairTables(synonyms=forms, double_words=pairs)

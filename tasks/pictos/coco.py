"""Pictos scenes in COCO's own formats: `instances_*.json` and `captions_*.json` as pycocotools loads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.pictos.catalogue import CATEGORIES
from tasks.pictos.language import human_captions
from tasks.pictos.world import SIDE, Scene


def instances(scenes: Sequence[Scene]) -> dict[str, Any]:
    """COCO instances: boxes as x, y, width, height of what is visible; the image id is the scene's seed."""
    annotations = [
        {
            "image_id": scene.seed,
            "category_id": thing.category.id,
            "bbox": [float(value) for value in thing.box],
            "area": float(thing.area),
            "iscrowd": 0,
        }
        for scene in scenes
        for thing in scene.things
    ]
    return {
        **_document(scenes, annotations),
        "categories": [{"id": category.id, "name": category.name} for category in CATEGORIES],
    }


def captions(scenes: Sequence[Scene]) -> dict[str, Any]:
    """COCO captions: five a scene. No categories: pycocotools would look for one in each annotation."""
    annotations = [
        {"image_id": scene.seed, "caption": caption} for scene in scenes for caption in human_captions(scene)
    ]
    return _document(scenes, annotations)


def _document(scenes: Sequence[Scene], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "info": {"description": "Pictos"},
        "images": [
            {"id": scene.seed, "file_name": f"{scene.id}.png", "width": SIDE, "height": SIDE} for scene in scenes
        ],
        "annotations": [{"id": number, **annotation} for number, annotation in enumerate(annotations, start=1)],
    }

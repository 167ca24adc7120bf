"""Whose data CHAIR needs, under which licence, and where they come from."""

from __future__ import annotations

from tasks.data.sources import Source
from tasks.reading.object_words import caption_tables

_CHAIR_TRUTH = "none stated; COCO annotations CC BY 4.0"

SOURCES = (
    Source(
        task="chair",
        file="ground_truth_maxlinn.json.gz",
        about="objects of each image, as OPERA's figures need them",
        origin="Maxlinn/CHAIR-metric-standalone 640c5071, chair.pkl (`strop data build chair` makes JSON of it)",
        licence=_CHAIR_TRUTH,
        needed=True,
    ),
    Source(
        task="chair",
        file="ground_truth_areebol.json.gz",
        about="objects of each image, another build",
        origin="Areebol/vlm-decoding-hal 65602c27, chair.pkl (`strop data build chair` makes JSON of it)",
        licence="MIT; COCO annotations CC BY 4.0",
        instead_of="ground_truth_maxlinn.json.gz",
    ),
    Source(
        task="chair",
        file="annotations_trainval2014.zip",
        about="COCO's instances and captions, from which the objects follow",
        origin="COCO 2014, annotations/annotations_trainval2014.zip",
        licence="CC BY 4.0",
        instead_of="ground_truth_maxlinn.json.gz",
        unpacked="annotations/instances_*.json",
    ),
    *caption_tables("chair"),
    Source(
        task="chair",
        file="greedy.jsonl",
        about="which 500 images OPERA describes, to ask a model (pictures: those of pope)",
        origin="shikiw/OPERA 61426efe, log/chair_eval_results/llava-1.5/",
        licence="MIT",
        sha256="3d70bbefa95f1894a09e97e83f2a40531be39b12db50f4e2386c5bfc99842fdd",
    ),
)

"""Whose data POPE needs, under which licence, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tasks.data.folder import coco_pictures
from tasks.data.hub import HubSource
from tasks.data.sources import LLAVA_EVALUATION, Source

_POPE = "AoiDragon/POPE 08d957b9, output/coco/"
_OPERA = "shikiw/OPERA 61426efe, pope_coco/"

HUB = HubSource(
    id="lmms-lab/POPE",
    revision="4db1276663dfa5eb8ad16a52d24c31a09e470896",
    files="data/test-*.parquet",
    picture="image",
    columns=("question", "answer", "image_source", "category"),
)

_POPE_DIGESTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "labels_3000": {
            "random": "ac25245170b975a5bdf9080b23fd431dfe6be458bc038259c1f4f09a6bef7994",
            "popular": "72c1a8ad45d0c13514f5f22598261df41d3b533854d29682e924db50ed8aa753",
            "adversarial": "420b3407db1fa9f1187a805dca41cb7b97fd91504e6c2179706188c107fb8ef8",
        },
        "labels_2910": {
            "random": "c16b65d2df6d70bb0814c8a4375833d39cdb09928fd936d3fc546491efa37f35",
            "popular": "5b16653023bf4f64d57eb0d168259de6627f5cde7538b85ebed3cc33034aa6cc",
            "adversarial": "1d8f0906a9b50c05640f6f23abfac97523be2a1bed28f7eadc63b811699b2d26",
        },
    }
)


def _pope_labels(folder: str, version: str, origin: str) -> list[Source]:
    """Label files: needed where the authors' lie, standing in for those in a folder named after their rows."""
    return [
        Source(
            task="pope",
            file=f"{folder}coco_pope_{group}.json",
            # the older set lacks 90 rows of random, and none of the other two
            about=f"labels, {group} ({version.removeprefix('labels_') if group == 'random' else 3000} rows)",
            origin=origin,
            licence="MIT",
            sha256=digest,
            needed=not folder,
            instead_of=f"coco_pope_{group}.json" if folder else None,
        )
        for group, digest in _POPE_DIGESTS[version].items()
    ]


SOURCES = (
    Source(
        task="pope",
        file="llava_pope_test.jsonl",
        about="questions",
        origin=f"{LLAVA_EVALUATION}pope/",
        licence="Apache-2.0",
        sha256="1d3b41f0dced74b4f361c659787ef673497cfac54a6be7bde00eb405bab03c70",
        needed=True,
    ),
    *_pope_labels("", "labels_3000", _POPE),
    *_pope_labels("labels_3000/", "labels_3000", _POPE),
    *_pope_labels("labels_2910/", "labels_2910", _OPERA),
    coco_pictures("pope", shared_with=("chair",)),
)

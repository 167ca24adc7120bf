"""What a task finds in the data folder `data`: its files, and the pictures that several tasks share.

`tasks.data.sources` lists what belongs there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from harness.errors import MissingError
from tasks.data.hub import HubSource
from tasks.data.sources import Source

COCO_PICTURES = "val2014"
"""The folder that COCO's val2014.zip unpacks into; POPE, CHAIR, IC and grounding share it."""

_SHARING = ("pope", "chair")
_COCO_PART = re.compile(r"(?:train|val|test)20\d\d")


def coco_picture(data: Path, task: str, name: str, annotations: Iterable[str] = ()) -> Path:
    """One of COCO's pictures, in the folder that its archive unpacks into, of the task or of another that asks of them.

    Its own name says which (COCO_train2014_...), else those of the annotations (instances_val2017.json); where neither
    does, it is `COCO_PICTURES`. Raises `MissingError` where none of the folders is there.
    """
    parts = _COCO_PART.findall(name) or _COCO_PART.findall(" ".join(annotations)) or [COCO_PICTURES]
    places = [f"{owner}/{split}" for split in dict.fromkeys(parts) for owner in dict.fromkeys((task, *_SHARING))]
    present = [folder for candidate in places if (folder := data / candidate).is_dir()]
    first = present[0] if present else picture_folder(data, task, f"{parts[0]}.zip", *places)
    return next((folder / name for folder in present if (folder / name).is_file()), first / name)


def picture_folder(data: Path, task: str, archive: str, *names: str) -> Path:
    """The first of these folders below the data folder that is there; `MissingError` where none is."""
    for name in names:
        if (data / name).is_dir():
            return data / name
    raise MissingError(
        f"{data / names[0]}: no such folder of pictures; unpack {archive} into {data / task} (`strop data list` says "
        f"where it comes from; looked for in {', '.join(names)})"
    )


def pictures_in(folder: Path, name: str | None) -> tuple[Path, ...]:
    """The picture of a question that has one."""
    return (folder / name,) if name else ()


def first_file(folder: Path, *names: str) -> Path | None:
    """The first of these files that is there."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def missing_file(data: Path, task: str, file: str, hub: HubSource | None = None) -> MissingError:
    """The error that says which file of a task is not in the data folder."""
    otherwise = f", or set STROP_HUB=1 to read {hub.name} from the hub" if hub else "; it is never read from the hub"
    return MissingError(
        f"{data / task / file}: no such file; put it there (`strop data list` says where it comes from){otherwise}"
    )


def coco_pictures(task: str, shared_with: tuple[str, ...]) -> Source:
    """COCO's photographs as a source of a task; a copy in the folder of a task of `shared_with` serves too."""
    return Source(
        task=task,
        file="val2014.zip",
        about="pictures, to ask a model (of other annotations those that they name, such as val2017)",
        origin="COCO 2014, zips/val2014.zip",
        licence="each photographer's Flickr terms",
        unpacked="val2014/*.jpg",
        shared_with=shared_with,
    )

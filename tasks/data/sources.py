"""Other people's data: which files a benchmark needs, whose they are, under which licence, and where they lie.

None of them is part of Strop, and IC's set is made of them. They lie in the data folder, one folder a task; `strop
data` lists and fetches them. Digests are those of the commit that `origin` names. A table that somebody had to turn
into JSON has none, since two people's JSON of it differ in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.errors import UsageError
from harness.files import digest_of_file

DATA_VARIABLE = "STROP_DATA"

DEFAULT_DATA = Path("~/.cache/strop/data")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file of somebody else's, or made of such files.

    `file` is its path below the task's folder, `about` what is in it, `origin` the repository or hub id it comes from,
    `sha256` its digest where there is one known. Marking stops without a file that is `needed`, unless there is one
    that says it may stand `instead_of` it. An archive leaves `unpacked`, a glob pattern below the task's folder. A copy
    that lies in the folder of a task of `shared_with` will do.
    """

    task: str
    file: str
    about: str
    origin: str
    licence: str
    sha256: str | None = None
    needed: bool = False
    instead_of: str | None = None
    unpacked: str | None = None
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What the data folder has of a source: `sha256` is that of the file, None where only its contents are left. `path`
    is below the task's folder, or below that of the task whose copy serves.

    `state` is "missing", "unpacked" (contents without the archive), "as published" (the digest is the known one),
    "another version" (it is not) or "here" (no digest is known).
    """

    source: Source
    path: Path
    sha256: str | None
    state: str


_POPE = "AoiDragon/POPE 08d957b9, output/coco/"
_OPERA = "shikiw/OPERA 61426efe, pope_coco/"
_LLAVA = "haotian-liu/LLaVA 32cebc38 (pull request 1199), playground/data/eval/"
_CHAIR_TRUTH = "none stated; COCO annotations CC BY 4.0"
_CHAIR_TABLES = "BSD-2-Clause by its README"
_SCIENCEQA = "CC BY-NC-SA 4.0"

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


def _caption_tables(task: str, shared_with: tuple[str, ...] = ()) -> list[Source]:
    """What captions are read by."""
    return [
        Source(
            task=task,
            file="synonyms.json",
            about="class -> words",
            origin="LisaAnne/Hallucination 6e4d33c4, data/synonyms.txt (`strop data build chair` makes JSON of it)",
            licence=_CHAIR_TABLES,
            needed=True,
            shared_with=shared_with,
        ),
        Source(
            task=task,
            file="double_words.json",
            about="two words -> the one they stand for",
            origin="utils/chair.py there, and inside either of the two chair.pkl (`strop data build chair`)",
            licence=_CHAIR_TABLES,
            needed=True,
            shared_with=shared_with,
        ),
    ]


def _coco_pictures(task: str, shared_with: tuple[str, ...]) -> Source:
    return Source(
        task=task,
        file="val2014.zip",
        about="pictures, to ask a model (of other annotations those that they name, such as val2017)",
        origin="COCO 2014, zips/val2014.zip",
        licence="each photographer's Flickr terms",
        unpacked="val2014/*.jpg",
        shared_with=shared_with,
    )


SOURCES: Sequence[Source] = (
    Source(
        task="pope",
        file="llava_pope_test.jsonl",
        about="questions",
        origin=f"{_LLAVA}pope/",
        licence="Apache-2.0",
        sha256="1d3b41f0dced74b4f361c659787ef673497cfac54a6be7bde00eb405bab03c70",
        needed=True,
    ),
    *_pope_labels("", "labels_3000", _POPE),
    *_pope_labels("labels_3000/", "labels_3000", _POPE),
    *_pope_labels("labels_2910/", "labels_2910", _OPERA),
    _coco_pictures("pope", shared_with=("chair",)),
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
    *_caption_tables("chair"),
    Source(
        task="chair",
        file="greedy.jsonl",
        about="which 500 images OPERA describes, to ask a model (pictures: those of pope)",
        origin="shikiw/OPERA 61426efe, log/chair_eval_results/llava-1.5/",
        licence="MIT",
        sha256="3d70bbefa95f1894a09e97e83f2a40531be39b12db50f4e2386c5bfc99842fdd",
    ),
    Source(
        task="scienceqa",
        file="llava_test_CQM-A.json",
        about="questions of the test split in LLaVA's prompt",
        origin=f"{_LLAVA}scienceqa/",
        licence=f"Apache-2.0; questions {_SCIENCEQA}",
        sha256="a2dc5ea9fba561b0d0d8ecc80e688d3b0e1ff308e06c4f4f94cff86b20ec2f0a",
        needed=True,
    ),
    Source(
        task="scienceqa",
        file="problems.json",
        about="questions of all splits, with subject and grade",
        origin="lupantech/ScienceQA 2cbf8318, data/scienceqa/",
        licence=_SCIENCEQA,
        instead_of="llava_test_CQM-A.json",
    ),
    Source(
        task="scienceqa",
        file="pid_splits.json",
        about="which questions are the test split",
        origin="lupantech/ScienceQA 2cbf8318, data/scienceqa/",
        licence=_SCIENCEQA,
        sha256="85c7820b9f136e572579a01dab2c77a7f8140b59211e421fa5182491d45ee3a7",
    ),
    Source(
        task="scienceqa",
        file="test.zip",
        about="pictures, to ask a model",
        origin="lupantech/ScienceQA 2cbf8318, fetched by its tools/download.sh",
        licence=_SCIENCEQA,
        unpacked="test/*/*.png",
    ),
    Source(
        task="mathvista",
        file="testmini.json",
        about="questions, for outputs that do not hold their own",
        origin="lupantech/MathVista 53d52587, data/",
        licence="CC BY-SA 4.0; for testing only, not for training",
        sha256="ab0148dca9d401c31cc47f29b3826eec28a76ff155a1c0878d81e8daf0413480",
        needed=True,
    ),
    Source(
        task="mathvista",
        file="query.json",
        about="prompts, the hint first, to ask a model",
        origin="lupantech/MathVista 53d52587, data/",
        licence="CC BY-SA 4.0; for testing only, not for training",
        sha256="a2d173eafbadc7fec6f6d101822723debcbde06bd23a754ebdfc92e229161421",
    ),
    Source(
        task="mathvista",
        file="images.zip",
        about="pictures, to ask a model",
        origin="AI4Math/MathVista on the hub",
        licence="CC BY-SA 4.0; each picture that of its data set",
        unpacked="images/*.jpg",
    ),
    Source(
        task="ic",
        file="truth.json",
        about="which pictures, and what is in them",
        origin="anybody's annotations in COCO's format, by `strop data build ic --coco ANNOTATIONS --out DATA/ic`",
        licence="that of the annotations; COCO's CC BY 4.0",
        needed=True,
    ),
    *_caption_tables("ic", shared_with=("chair",)),
    _coco_pictures("ic", shared_with=("pope", "chair")),
    Source(
        task="grounding",
        file="annotations_trainval2014.zip",
        about="COCO's instances",
        origin="COCO 2014, annotations/annotations_trainval2014.zip",
        licence="CC BY 4.0",
        needed=True,
        unpacked="annotations/instances_*.json",
        shared_with=("chair",),
    ),
    _coco_pictures("grounding", shared_with=("pope", "chair")),
)


def data_folder() -> Path:
    """Where data lie that nobody named: STROP_DATA, else a folder in the home. A task finds its own files below it."""
    return Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA).expanduser()


def sources_of(task: str) -> tuple[Source, ...]:
    """The files of a task; raises `UsageError` where no data of others are known for it."""
    found = tuple(source for source in SOURCES if source.task == task)
    if not found:
        known = ", ".join(dict.fromkeys(source.task for source in SOURCES))
        raise UsageError(f"no data are known for a task '{task}'; these need some: {known}")
    return found


def held(data: Path, source: Source) -> Held:
    """What `data` has of a source. The file is read to the end for its digest."""
    folder = folder_with(data, source)
    path = (folder or data / source.task) / source.file
    if not path.is_file():
        return Held(source=source, path=path, sha256=None, state="unpacked" if folder else "missing")
    digest = digest_of_file(path)
    state = "here" if source.sha256 is None else "as published" if digest == source.sha256 else "another version"
    return Held(source=source, path=path, sha256=digest, state=state)


def stand_ins(source: Source) -> tuple[Source, ...]:
    """The sources that may stand in for one, the first the closest."""
    return tuple(other for other in sources_of(source.task) if other.instead_of == source.file)


def folder_with(data: Path, source: Source) -> Path | None:
    """The folder that has the file, or what it was unpacked into: the task's, else one whose copy serves, else None."""
    for task in (source.task, *source.shared_with):
        folder = data / task
        if (folder / source.file).is_file() or (source.unpacked is not None and any(folder.glob(source.unpacked))):
            return folder
    return None

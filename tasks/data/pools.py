"""Training pools: what a loop collects on. The embedded world's scenes, a task's own samples, or the user's pictures.

Pictures of one's own are named KIND:PATH (`OWN`). They need no right answers. A picture's id is the digest of its file,
so that a pool is the same wherever it lies and whatever its files are called; twins are taken once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

from harness.errors import DataError, MissingError, RecipeError, UsageError
from harness.files import digest_of_bytes, digest_of_file, digest_of_json, read_json
from harness.types import Picture, Sample
from harness.wording import first_line
from tasks.data.hub import HubPicture
from tasks.data.rows import Row, as_row, is_document, read_document, read_rows

PROMPT = "Describe this image in detail."
"""What is asked of a picture that comes without a prompt."""

PICTURES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

ROUNDS_IN_A_ROW = 9
"""So many rounds of a training seed lie side by side in a world's pool; of each ten slots one is left for more."""


def world_slot(seed: int, number: int) -> int:
    """Which slot of a world's pool round `number` (from 1) of a training seed collects on: never that of another pair.

    The first nine rounds of seed s have the slots 10 s to 10 s + 8. Every tenth slot is left, and rounds from the
    tenth on share these by Cantor's numbering of pairs.
    """
    if number <= ROUNDS_IN_A_ROW:
        return seed * 10 + number - 1
    later = number - ROUNDS_IN_A_ROW - 1
    return 10 * ((seed + later) * (seed + later + 1) // 2 + later) + 9


@dataclass(frozen=True, kw_only=True)
class ComposedSamples(Sequence[Sample]):
    """So many samples of an embedded world, none of which exists before it is asked for: `compose(start, count)` gives
    some of them in order."""

    size: int
    compose: Callable[[int, int], Sequence[Sample]]

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, int):
            return self.compose(range(self.size)[index], 1)[0]
        start, stop, step = index.indices(self.size)
        return self.compose(start, max(stop - start, 0))[::step]


@dataclass(frozen=True, kw_only=True)
class WorldPool:
    """The scenes of an embedded world's split `pool`, composed when they are asked for: no two training seeds and no
    two rounds have one in common."""

    name: str
    size: int
    scenes: Callable[[int, int], Sequence[Sample]]
    has_gold: bool = True
    apart: bool = True

    @property
    def identity(self) -> str:
        return self.name

    def require(self, *, seed: int, rounds: int, count: int) -> None:
        last = max((world_slot(seed, number) for number in range(1, rounds + 1)), default=0)
        if (last + 1) * count > self.size:
            raise RecipeError(
                f"seed {seed}: the training pool of {self.name} ends before its pictures; take a smaller one"
            )

    def of_round(self, *, seed: int, number: int, count: int) -> Sequence[Sample]:
        return self.scenes(world_slot(seed, number) * count, count)


@dataclass(frozen=True, kw_only=True)
class OwnPool:
    """Samples that are all at hand. Each training seed has an order of its own, from which its rounds take in turn."""

    source: str
    samples: Sequence[Sample]
    has_gold: bool = False
    apart: bool = False
    things: str = "pictures"

    @cached_property
    def identity(self) -> str:
        return f"pool {digest_of_json(sorted([sample.id, sample.prompt] for sample in self.samples))}"

    def require(self, *, seed: int, rounds: int, count: int) -> None:
        if rounds * count > len(self.samples):
            raise RecipeError(
                f"source {self.source}: {len(self.samples)} {self.things} are too few for {rounds} rounds of {count}, "
                f"each {self.things[:-1]} in one; lower collect.samples ({len(self.samples) // rounds} fit) or rounds"
            )

    def of_round(self, *, seed: int, number: int, count: int) -> Sequence[Sample]:
        order = sorted(self.samples, key=lambda sample: digest_of_bytes(f"{seed}/{sample.id}".encode()))
        return order[(number - 1) * count : number * count]


def task_pool(source: str, samples: Sequence[Sample]) -> WorldPool | OwnPool:
    """The training pool of the task `source`, whose `pool()` gave these samples (`harness.types.Pooled`)."""
    if isinstance(samples, ComposedSamples):
        return WorldPool(name=source, size=len(samples), scenes=samples.compose)
    has_gold = all(sample.target is not None for sample in samples)
    return OwnPool(source=source, samples=tuple(samples), has_gold=has_gold, things="questions")


def own_pool(source: str) -> OwnPool:
    """The pool of pictures that a KIND:PATH names; raises `UsageError` for a kind that there is not, and `DataError`
    naming the file where there are no pictures or a list of them cannot be read."""
    kind, _, path = source.partition(":")
    if kind not in OWN or not path:
        kinds = ", ".join(f"{name}:PATH" for name in OWN)
        raise UsageError(f"source {source}: expected {kinds} or a task's name, or pairs:PATH of answers")
    samples = {(sample := entry.sample).id: sample for entry in OWN[kind](Path(path).expanduser())}
    if not samples:
        raise DataError(f"source {source}: no pictures in it; they end in {', '.join(sorted(PICTURES))}")
    return OwnPool(source=source, samples=tuple(samples.values()))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """A picture by the name that people know it by, with the digest of its file."""

    name: str
    picture: Picture
    digest: str
    prompt: str = PROMPT

    @property
    def sample(self) -> Sample:
        id = digest_of_bytes(self.digest.encode(), self.prompt.encode())[:16]
        meta = {"picture": self.name}
        return Sample(id=id, prompt=self.prompt, images=(self.picture,), target=None, cluster=self.digest, meta=meta)


def _in_folder(folder: Path) -> Iterator[_Entry]:
    if not folder.is_dir():
        raise MissingError(f"{folder}: no such folder of pictures")
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURES and path.is_file():
            yield _Entry(name=str(path.relative_to(folder)), picture=path, digest=digest_of_file(path))


def _in_coco(annotations: Path) -> Iterator[_Entry]:
    """The pictures under `images` of a file in COCO's format; its annotations are not looked at."""
    content = read_json(annotations)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise DataError(f"{annotations}: not COCO annotations: no list under 'images'")
    names = [as_row(f"{annotations}: images[{index}]", row).text("file_name") for index, row in enumerate(images)]
    folder = _picture_folder(annotations, names)
    for name in names:
        yield _Entry(name=name, picture=folder / name, digest=_digest(folder / name, annotations))


def _picture_folder(annotations: Path, names: Sequence[str]) -> Path:
    """Where the first picture lies: beside the file, in `images` or the split that the file is of (`val2014`), or one
    folder up, since COCO's annotations lie in a folder of their own."""
    split = annotations.stem.rpartition("_")[2]
    above = (annotations.parent, annotations.parent.parent)
    folders = [parent / name for parent in above for name in (".", "images", split)]
    if not names:
        return annotations.parent
    for folder in folders:
        if (folder / names[0]).is_file():
            return folder
    raise MissingError(
        f"{annotations}: its picture {names[0]} lies neither beside it nor in images or {split} there or one folder "
        "up; put the pictures there, or name them in a list"
    )


def _in_list(path: Path) -> Iterator[_Entry]:
    """Rows with `image`, a path from the list's folder, and where it has one `prompt`; JSON lines, or a JSON list."""
    for row in _rows(path):
        picture = path.parent / row.text("image")
        prompt = row.text("prompt") if "prompt" in row.content else PROMPT
        yield _Entry(name=row.text("image"), picture=picture, digest=_digest(picture, row.location), prompt=prompt)


def _rows(path: Path) -> Iterator[Row]:
    layout = 'a list of {"image": PATH, "prompt": TEXT}'
    content = read_document(path, layout) if is_document(path, layout) else None
    if isinstance(content, list):
        yield from (as_row(f"{path}: [{index}]", row, layout) for index, row in enumerate(content))
    else:
        yield from read_rows(path, layout)


def _in_hub_folder(folder: Path) -> Iterator[_Entry]:
    """The split `train`, or the only one, of a data set in the hub's layout: its column of pictures, and `prompt`."""
    table, column = load_table(folder)
    if column is None:
        raise DataError(f"{folder}: no column of pictures; found {', '.join(table.column_names)}")
    for index, row in enumerate(table):
        picture, digest = hub_picture(str(folder), table, index, column, row[column] or {})
        name, prompt = f"{folder}: row {index}", row.get("prompt") or PROMPT
        yield _Entry(name=name, picture=picture, digest=digest, prompt=prompt)


def load_table(path: Path) -> tuple[Any, str | None]:
    """(the split `train`, or the only one, of a data set in the hub's layout, or a single Parquet file; the name of its
    column of pictures, which are left encoded)."""
    import datasets

    if not path.exists():
        raise MissingError(f"{path}: no such folder; download the data set first, nothing is fetched unasked")
    files = {} if path.is_dir() else {"data_files": str(path)}
    try:
        splits = datasets.load_dataset(
            str(path) if path.is_dir() else "parquet", verification_mode="no_checks", **files
        )
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = first_line(error)
        raise DataError(f"{path}: does not load as a data set of the hub ({reason})") from error
    if "train" not in splits and len(splits) > 1:
        raise DataError(f"{path}: has the splits {', '.join(splits)} and none called train; name a list instead")
    table = splits["train" if "train" in splits else next(iter(splits))]
    column = next((name for name, kind in table.features.items() if isinstance(kind, datasets.Image)), None)
    return (table.cast_column(column, datasets.Image(decode=False)) if column else table), column


def hub_picture(folder: str, table: Any, index: int, column: str, stored: Mapping[str, Any]) -> tuple[Picture, str]:
    """A picture that the table holds, or that lies beside it as a file, and the digest of its file."""
    if stored.get("bytes"):
        return HubPicture(folder, index, table, column), hashlib.sha256(stored["bytes"]).hexdigest()
    if not stored.get("path"):
        raise DataError(f"{folder}: row {index} holds no picture")
    return Path(stored["path"]), digest_of_file(Path(stored["path"]))


def _digest(picture: Path, source: object) -> str:
    """The digest of a picture's file; raises `MissingError` that says which `source` names it."""
    if not picture.is_file():
        raise MissingError(f"{source}: no such picture as {picture}")
    return digest_of_file(picture)


OWN: Mapping[str, Callable[[Path], Iterator[_Entry]]] = MappingProxyType(
    {"folder": _in_folder, "coco": _in_coco, "list": _in_list, "hub": _in_hub_folder}
)
"""The kinds of pools that a user's pictures can be."""

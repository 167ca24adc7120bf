"""Which pictures two sets of samples share, as they are or as copies that were scaled or saved again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.likeness import Album, Fingerprint, fingerprint
from harness.pictures import open_picture, picture_digest
from harness.types import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """A picture that was opened: what people call it, the digest of its pixels, its fingerprint where it has one."""

    name: str
    digest: str
    print: Fingerprint | None


class Pictures:
    """The pictures of some samples, opened once; `names` are what people call them, by the digests of their pixels."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        seen = {picture.digest: picture for picture in _opened(samples)}
        self.names = {digest: picture.name for digest, picture in seen.items()}
        self._album = Album({digest: picture.print for digest, picture in seen.items() if picture.print})

    def shared_with(self, samples: Iterable[Sample]) -> list[str]:
        """The names of those that are pictures of these samples too; of copies, with what they are copies of."""
        shared: dict[str, str] = {}
        for picture in _opened(samples):
            if picture.digest in self.names:
                shared[picture.digest] = self.names[picture.digest]
            elif picture.print:
                for digest in self._album.copies(picture.print):
                    shared.setdefault(digest, f"{self.names[digest]} as a copy of {picture.name}")
        return sorted(shared.values())


def _opened(samples: Iterable[Sample]) -> Iterator[_Seen]:
    """Each different picture of the samples."""
    names = {
        picture: str(sample.meta.get("picture", picture.name if isinstance(picture, Path) else sample.id))
        for sample in samples
        for picture in sample.images
    }
    for picture, name in names.items():
        image = open_picture(picture)
        yield _Seen(name=name, digest=picture_digest([image]), print=fingerprint(image))

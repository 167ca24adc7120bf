"""What two sets of samples share: pictures, as they are or as copies that were scaled or saved again, and the words of
questions without a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.likeness import Album, Fingerprint, fingerprint
from harness.pictures import open_picture, picture_digest
from harness.types import Sample
from harness.wording import counted

_LETTER = re.compile(r"^[a-z][.)] ")

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """A picture that was opened: what people call it, the digest of its pixels, its fingerprint where it has one."""

    name: str
    digest: str
    print: Fingerprint | None


class Shown:
    """What some samples show a model: their pictures, opened once, and the words of those that have none. Pictures are
    called by their own names, words by their sample's id."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        samples = list(samples)
        seen = {picture.digest: picture for picture in _opened(samples)}
        self._pictures = {digest: picture.name for digest, picture in seen.items()}
        self._album = Album({digest: picture.print for digest, picture in seen.items() if picture.print})
        self._questions = {_words(sample): sample.id for sample in samples if not sample.images}

    @property
    def noun(self) -> str:
        """What it holds."""
        return " and ".join(f"{noun}s" for noun, count in self._kinds.items() if count) or "pictures"

    @property
    def counts(self) -> str:
        """How many it holds."""
        return " and ".join(counted(count, noun) for noun, count in self._kinds.items() if count) or "no picture"

    @property
    def _kinds(self) -> dict[str, int]:
        return {"picture": len(self._pictures), "question": len(self._questions)}

    def shared_with(self, samples: Sequence[Sample]) -> list[str]:
        """The names of what these samples show too; of copies, with what they are copies of."""
        shared = {
            name: name
            for sample in samples
            if not sample.images and (name := self._questions.get(_words(sample))) is not None
        }
        for picture in _opened(samples) if self._pictures else ():
            if picture.digest in self._pictures:
                shared[picture.digest] = self._pictures[picture.digest]
            elif picture.print:
                for digest in self._album.copies(picture.print):
                    shared.setdefault(digest, f"{self._pictures[digest]} as a copy of {picture.name}")
        return sorted(shared.values())


def without_shared(samples: Iterable[Sample], others: Iterable[Sample]) -> list[Sample]:
    """Those of the samples that show nothing of what the others show. Opens every picture of both."""
    shown = Shown(others)
    return [sample for sample in samples if not shown.shared_with([sample])]


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


def _words(sample: Sample) -> Words:
    """The lines of a question in any order, without case, spaces and the letters of options: what is asked is the same
    whatever letter the right one has."""
    lines = (" ".join(line.casefold().split()) for line in sample.prompt.splitlines())
    return tuple(sorted(_LETTER.sub("", line) for line in lines if line))

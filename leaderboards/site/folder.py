"""A site's folder: pages, charts, pictures and data as static files that work from disk and from any web host.

What a model said, and what runs are called, is text and never markup: templates escape it, data files hold it as JSON
in plain ASCII, characters that reorder or hide text are shown by their numbers, and each page's Content-Security-Policy
lets nothing run, load or be sent but the site's own files.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from harness.disks import writing
from harness.errors import PictureError, UsageError
from harness.files import utf8
from harness.pictures import open_picture, picture_digest
from harness.types import Picture
from leaderboards.charts import Drawing

HERE = Path(__file__).parent

GENERATOR = '<meta name="generator" content="Strop">'
"""What a folder's index.html holds if it is a site of ours, and may be replaced by the next one."""

LARGEST_SHOWN = 640
"""Pixels a side; larger pictures are shown smaller."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A page by its title."""

    title: str
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart on a page: its two files, and its numbers in words for who cannot see it."""

    light: str
    dark: str
    title: str
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A picture of the site, with its size in pixels."""

    src: str
    width: int
    height: int


def visible(text: str) -> str:
    """The text with characters that cannot be seen, or that turn the reading direction, written as their numbers."""
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def slug(number: int, name: str) -> str:
    """A file's name for whatever something is called, unique by its number."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-")
    return f"{number:02d}-{words}" if words else f"{number:02d}"


@contextmanager
def site_folder(out: Path) -> Iterator[SiteFolder]:
    """A folder to write a site into, which takes the place of `out` when all is written, and is gone if that fails.

    Raises `UsageError` where `out` is a file, or a folder that holds anything but an earlier site.
    """
    out = out.resolve()
    with writing(out):
        if out.exists() and not _replaceable(out):
            raise UsageError(f"{out} is there already and is no site of Strop's; name another folder or remove it")
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            new = temporary / "new"
            shutil.copytree(HERE / "static", new / "assets")
            yield SiteFolder(new)
            if out.exists():
                out.replace(temporary / "old")
            new.replace(out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _replaceable(out: Path) -> bool:
    if not out.is_dir():
        return False
    index = out / "index.html"
    return not any(out.iterdir()) or (index.is_file() and GENERATOR in index.read_text(encoding="utf-8")[:2_000])


class SiteFolder:
    """The files of a site while it is written. `menu` are the pages that every page links to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.menu: tuple[Link, ...] = ()
        self._pictures: dict[Picture, Shown | None] = {}
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=lambda value: visible(value) if type(value) is str else value,
        )

    def page(self, href: str, template: str, **content: object) -> None:
        """Write a page; text in `content` is escaped."""
        page = self._environment.get_template(template)
        self._write(href, page.render(href=href, menu=self.menu, generator=GENERATOR, **content))

    def chart(self, name: str, drawing: Drawing, *, title: str, words: str) -> Chart:
        """Write a chart's two files, called by a `name` of our own."""
        chart = Chart(light=f"charts/{name}.svg", dark=f"charts/{name}-dark.svg", title=title, words=words)
        self._write(chart.light, drawing.light)
        self._write(chart.dark, drawing.dark)
        return chart

    def data(self, href: str, function: str, *arguments: Any) -> None:
        """Write a script that hands JSON to a function of ours: a page on disk may load scripts, but read no files."""
        json_arguments = ",".join(json.dumps(argument, separators=(",", ":")) for argument in arguments)
        self._write(href, f"strop.{function}({json_arguments});\n")

    def text(self, href: str, content: str) -> None:
        """Write a file for download."""
        self._write(href, content)

    def picture(self, picture: Picture) -> Shown | None:
        """Write a picture, once whatever the number of samples that show it; None where it does not open."""
        if picture not in self._pictures:
            try:
                self._pictures[picture] = self._save(open_picture(picture))
            except PictureError:
                self._pictures[picture] = None
        return self._pictures[picture]

    def _save(self, image: Image.Image) -> Shown:
        image.thumbnail((LARGEST_SHOWN, LARGEST_SHOWN))
        small = max(image.size) <= 256  # as it is, to the pixel; photographs are packed
        href = f"pictures/{picture_digest([image])[:24]}.{'png' if small else 'webp'}"
        path = self.root / href
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            image.save(path, **({"optimize": True} if small else {"quality": 80}))
        return Shown(src=href, width=image.width, height=image.height)

    def _write(self, href: str, content: str) -> None:
        path = self.root / href
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(utf8(content))

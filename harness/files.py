"""Reading and writing the project's files: atomic writes, and readers that name the file and line they stumble on.

Text goes through the border here: what is read is text that can be written again, and what is written is UTF-8 and,
where it is JSON, JSON (no NaN).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.disks import reading, writing
from harness.errors import DataError, UsageError
from harness.wording import mended


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never half of it, also after a power cut.

    Raises `DataError` where it cannot be written; then nothing of it is left.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def utf8(text: str) -> bytes:
    """Text as UTF-8; what cannot be is mended (`harness.wording.mended`)."""
    return mended(text).encode("utf-8")


def write_text(path: Path, content: str) -> None:
    write_bytes(path, utf8(content))


def json_text(content: Any, *, indent: int | None = None) -> str:
    """JSON of a value, of paths and numpy's numbers too; NaN and infinities, which JSON has no word for, are null."""
    try:
        return json.dumps(content, indent=indent, ensure_ascii=False, default=plain, allow_nan=False)
    except ValueError:
        content = finite(json.loads(json.dumps(content, default=plain)))
        return json.dumps(content, indent=indent, ensure_ascii=False)


def write_json(path: Path, content: Any) -> None:
    write_text(path, json_text(content, indent=1) + "\n")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json_text(row) + "\n" for row in rows))


def write_folder(folder: Path, files: Mapping[str, str]) -> bool:
    """Make a folder of text files (name -> content), all or none of them; False where they already were there.

    What else lies in the folder is left alone. Raises `UsageError` where one of these files is there with another
    content, and `DataError` where the folder cannot be written.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder")
    existing = [name for name in files if (folder / name).exists()]
    for name in existing:
        path = folder / name
        if not path.is_file() or path.read_bytes() != files[name].encode("utf-8"):
            raise UsageError(f"{path} is there and is not this one; name another folder, or move it away")
    if existing and len(existing) == len(files):
        return False
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for name, content in files.items():
                write_text(temporary / name, content)
            if folder.is_dir() and any(folder.iterdir()):
                for name in files:
                    (temporary / name).replace(folder / name)
                temporary.rmdir()
            else:
                temporary.chmod(0o755)
                temporary.replace(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return True


def read_json(path: Path) -> Any:
    """One JSON document; raises `DataError` naming the file."""
    with reading(path):
        content = path.read_bytes()
    try:
        return parsed(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error})") from error


def parsed(content: str | bytes) -> Any:
    """The value of JSON, which may be bytes in any of its encodings with or without a byte order mark; its text is
    mended. Raises `json.JSONDecodeError` for what Python does not take either: nested too deeply, numbers of thousands
    of digits; and `UnicodeDecodeError`."""
    if isinstance(content, bytes):
        content = content.decode(json.detect_encoding(content), "surrogatepass")
    try:
        value = json.loads(mended(content))
    except json.JSONDecodeError:
        raise
    except (RecursionError, ValueError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise json.JSONDecodeError(why, content, 0) from error
    return _mended(value) if "\\ud" in content or "\\uD" in content else value


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(key): _mended(item) for key, item in value.items()}
    return value


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file in order; blank lines are skipped; raises `DataError` naming file and line."""
    for number, row in _numbered(path):
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected an object, found {type(row).__name__}")
        yield row


def _numbered(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number from 1, parsed JSON) of each line that is not blank."""
    try:
        with reading(path), path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    try:
                        yield number, parsed(line)
                    except json.JSONDecodeError as error:
                        raise DataError(
                            f"{path}:{number}: not valid JSON ({error.msg}); one JSON value a line is expected"
                        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def digest_of_bytes(*parts: bytes) -> str:
    """SHA-256 in hex of the parts, each preceded by its length so that no two lists of parts collide."""
    digest = hashlib.sha256()
    for chunk in parts:
        digest.update(len(chunk).to_bytes(8, "big"))
        digest.update(chunk)
    return digest.hexdigest()


def digest_of_json(content: Any) -> str:
    """SHA-256 of a JSON value, the same whatever the order of its keys."""
    return digest_of_bytes(utf8(json.dumps(content, sort_keys=True, ensure_ascii=False, default=plain)))


def digest_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def finite(content: Any) -> Any:
    """A JSON value with None for every number that JSON does not know: NaN and the infinities."""
    if isinstance(content, Mapping):
        return {name: finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def plain(value: Any) -> Any:
    """What JSON does not know: paths as text, numpy scalars as numbers."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not go into JSON")

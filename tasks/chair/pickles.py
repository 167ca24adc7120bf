"""What a pickled evaluator of a CHAIR port holds, without running anything of it.

The ports store one object of a class CHAIR, whose attributes are plain: dictionaries, lists and sets of strings and
numbers. So an unpickler that knows those and an empty class of that name reads them, and whatever else a pickle asks
for is refused. The only module that imports pickle.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.errors import DataError

_CLASS = "CHAIR"
_BUILTINS: Mapping[str, type] = MappingProxyType({"dict": dict, "list": list, "set": set, "frozenset": frozenset})
_PLAIN: Mapping[tuple[str, str], type] = MappingProxyType(
    {
        **{("builtins", name): kind for name, kind in _BUILTINS.items()},
        **{("__builtin__", name): kind for name, kind in _BUILTINS.items()},  # of Python 2
        ("collections", "defaultdict"): collections.defaultdict,
        ("collections", "OrderedDict"): collections.OrderedDict,
    }
)
_MALFORMED = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class _Evaluator:
    """Stands in for the class CHAIR: it keeps the attributes that are stored, and does nothing."""

    attributes: Any = None

    def __setstate__(self, state: Any) -> None:
        self.attributes = state


class _Refused(pickle.UnpicklingError):
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name == _CLASS:
            return _Evaluator
        if (module, name) in _PLAIN:
            return _PLAIN[module, name]
        raise _Refused(_printable(f"{module}.{name}"))


def read_evaluator(path: Path, content: bytes) -> Mapping[str, Any]:
    """The attributes of a pickled evaluator by name, or the dictionary that was pickled instead of one.

    Raises `DataError` where the pickle asks for anything but plain containers and a class CHAIR, none of which is run,
    where it is malformed, and where it holds neither.
    """
    try:
        stored = _Unpickler(io.BytesIO(content)).load()
    except _Refused as error:
        raise DataError(
            f"{path}: the pickle asks for {error}, which may be code and is not run; a CHAIR port's holds plain "
            "containers only"
        ) from error
    except _MALFORMED as error:
        raise DataError(f"{path}: a pickle that cannot be read ({_printable(str(error))})") from error
    attributes = stored.attributes if isinstance(stored, _Evaluator) else stored
    if not isinstance(attributes, dict):
        raise DataError(f"{path}: the pickle holds no evaluator of a CHAIR port but a {type(attributes).__name__}")
    return attributes


def _printable(text: str) -> str:
    """A foreign text as a piece of one line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:100]

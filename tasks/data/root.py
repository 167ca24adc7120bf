"""Where benchmarks read their data: a folder on this machine, and perhaps the hub in the place of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA_VARIABLE = "STROP_DATA"
HUB_VARIABLE = "STROP_HUB"

DEFAULT_DATA = Path("~/.cache/strop/data")

_OFF = ("", "0")
_ON = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRoot:
    """The data folder, with a folder a task, and whether benchmarks that the hub has are read from there instead.

    `hub` is False (the data folder), True (the hub itself) or a folder with copies of its repositories as owner/name.
    A task that reads data has one in its field `data_root`.

    Example:
        >>> DataRoot.from_environment({"STROP_DATA": "/data", "STROP_HUB": "1"}).hub
        True
    """

    folder: Path = DEFAULT_DATA
    hub: Path | bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.expanduser())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> DataRoot:
        """What STROP_DATA and STROP_HUB say in an environment; only the outermost code looks into its process's."""
        switch = environment.get(HUB_VARIABLE, "").strip()
        return cls(
            folder=Path(environment.get(DATA_VARIABLE) or DEFAULT_DATA),
            hub=switch == _ON if switch in (*_OFF, _ON) else Path(switch).expanduser(),
        )

"""Model cards: the README.md that the hub shows beside weights, with metadata as YAML in front. Imports no model
library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.files import read_json, write_json, write_text
from harness.models.hub import HubId, origin_of

CARD = "README.md"

_FRONT = re.compile(r"\A---\r?\n(?P<metadata>.*?)\r?\n---\r?\n?(?P<body>.*)\Z", re.DOTALL)

_LICENCE = ("license", "license_name", "license_link")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """A card: the hub's metadata fields, and the page below them in Markdown."""

    metadata: Mapping[str, Any]
    body: str

    def __str__(self) -> str:
        front = yaml.safe_dump(dict(self.metadata), sort_keys=False, allow_unicode=True, width=1000)
        return f"---\n{front}---\n\n{self.body.strip()}\n"


def write_model_card(folder: Path, card: ModelCard) -> None:
    """Write the card of the weights in a folder, in the place of one that is there."""
    write_text(folder / CARD, str(card))


def read_model_card(folder: Path) -> ModelCard:
    """The card of the weights in a folder, empty where there is none; malformed metadata count as none, since a card is
    no part of a model."""
    path = folder / CARD
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    match = _FRONT.match(text)
    if match is None:
        return ModelCard(metadata={}, body=text)
    try:
        metadata = yaml.safe_load(match["metadata"])
    except yaml.YAMLError:
        metadata = None
    return ModelCard(metadata=metadata if isinstance(metadata, dict) else {}, body=match["body"].strip())


def descent(folder: Path) -> dict[str, Any]:
    """What a card says of weights that were trained from those in `folder`: the base model on the hub, where that is
    known, and the licence that the base's own card names."""
    metadata, origin = read_model_card(folder).metadata, origin_of(folder)
    base = origin.repository if origin else metadata.get("base_model")
    fields = {"base_model": base, **{name: metadata.get(name) for name in _LICENCE}}
    return {name: value for name, value in fields.items() if value}


def name_base(adapter: Path, base: Path, otherwise: str) -> None:
    """Write into a saved adapter's adapter_config.json which model it was trained on, as peft finds it elsewhere:
    repository and commit of a snapshot of the hub, else a name."""
    path = adapter / "adapter_config.json"
    origin = origin_of(base) or HubId(repository=otherwise)
    named = {"base_model_name_or_path": origin.repository, "revision": origin.revision}
    write_json(path, {**read_json(path), **named})

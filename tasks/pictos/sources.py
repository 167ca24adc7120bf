"""Pictos needs nobody's data: its scenes are composed here."""

from __future__ import annotations

from tasks.data.sources import Source

SOURCES: tuple[Source, ...] = ()

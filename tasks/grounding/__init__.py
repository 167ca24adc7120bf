"""Grounding: where in the picture is that thing?"""

from __future__ import annotations

from tasks.grounding.task import Grounding

TASKS = {"grounding": Grounding}

"""CHAIR: which objects does a caption name that are not in the picture?"""

from __future__ import annotations

from tasks.chair.task import Chair

TASKS = {"chair": Chair}

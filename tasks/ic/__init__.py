"""IC: which objects does a caption name, and how many of each?"""

from __future__ import annotations

from tasks.ic.task import Ic

TASKS = {"ic": Ic}

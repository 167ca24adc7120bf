"""POPE: is this object in the picture?"""

from __future__ import annotations

from tasks.pope.task import Pope

TASKS = {"pope": Pope}

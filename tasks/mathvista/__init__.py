"""MathVista: mathematics in pictures."""

from __future__ import annotations

from tasks.mathvista.task import MathVista

TASKS = {"mathvista": MathVista}

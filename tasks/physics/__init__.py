"""PHYSICS: university physics, answered in boxes."""

from __future__ import annotations

from tasks.physics.task import Physics, PhysicsFigures

TASKS = {"physics": Physics, "physics_figures": PhysicsFigures}

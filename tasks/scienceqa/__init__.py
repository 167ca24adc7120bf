"""ScienceQA: school science with options, with and without a picture."""

from __future__ import annotations

from tasks.scienceqa.task import ScienceQa, ScienceQaImg

TASKS = {"scienceqa": ScienceQa, "scienceqa_img": ScienceQaImg}

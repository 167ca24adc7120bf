"""The recipes that are shipped."""

from __future__ import annotations

from pathlib import Path

import loops

JUDGE_FREE = Path(loops.__file__).parent / "recipes" / "judge_free.yaml"

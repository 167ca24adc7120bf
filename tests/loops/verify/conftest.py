"""A study around a verifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loops.kinds import Study
from loops.recipe import Recipe
from strop.running import setting
from tasks.data.root import DataRoot

StudyOf = Callable[..., Study]


@pytest.fixture
def study_of() -> StudyOf:
    """The study of a recipe with these fields of `verify`; further ones are the recipe's own."""

    def study(verify: dict[str, Any], **fields: Any) -> Study:
        recipe = Recipe.model_validate({"name": "mine", "rounds": 1, "verify": verify, **fields})
        return recipe.study(setting(DataRoot(), progress=False))

    return study

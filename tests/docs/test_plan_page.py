"""The tables of docs/plan.md are what `strop plan` prints for configurations of the published sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.published import plan_shown, save_published
from tests.support.shell import Strop

pytestmark = pytest.mark.slow


def test_the_table_of_llava_is_what_the_command_prints(strop: Strop) -> None:
    save_published(Path("models"))
    words, printed = plan_shown("## LLaVA-1.5-7B on 80 GB")
    assert strop(*words).out == printed

"""What a batch of questions to a member of each family takes is planned to the byte: the same code, with numbers and
without, has the same tensors alive at once."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch

from harness.errors import ModelError
from harness.models.branches import Branching
from harness.models.counted import Counted
from harness.models.footprint import HEADS, asking, steps_of
from harness.models.outline import outline_of, question_of
from harness.models.vlm import Vlm
from harness.types import Sampling
from tests.support.families.member import Member
from tests.support.measured import TRAININGS, measured
from tests.support.published import plan_shown, save_published
from tests.support.shell import Strop

pytestmark = pytest.mark.slow

SHORT = Sampling(max_tokens=6)

NEEDS_NUMBERS = {"qwen4_exp": "ZeroDivisionError"}
"""Members whose code does not go through by shapes alone -> a part of the message."""

NEAR = {"glm5_next": 0.01}
"""Members whose indexer chooses by numbers what it keeps -> the share by which a plan of theirs may be wrong."""


def test_a_batch_of_questions_takes_the_bytes_that_are_planned(
    family: str, member: Member, vlm: Vlm, tmp_path: Path
) -> None:
    member.model.config.save_pretrained(tmp_path)
    member.processor.save_pretrained(tmp_path)
    outline = outline_of(tmp_path, family)
    question = question_of(outline, "what is in this picture?", member.pictures[1].size)
    if family in NEEDS_NUMBERS:
        with pytest.raises(ModelError, match=NEEDS_NUMBERS[family]):
            asking(outline, question, SHORT, dtype=torch.float32)
        return
    planned = asking(outline, question, SHORT, dtype=torch.float32, twins=True, weighed=5)

    counted = Counted()
    model = copy.deepcopy(member.model)
    weights = counted.of([*model.parameters(), *model.buffers()])
    inputs = dict(question.heads(HEADS))
    counted.of(inputs.values())
    branching = Branching(model, filler=vlm.reader.filler)
    with counted, torch.no_grad():
        steps = dict(steps_of(counted, branching, inputs, question, SHORT, twins=True, weighed=5))
    assert planned.weights == weights
    taken = {step: sum(each) * HEADS for step, each in planned.steps.items()}
    assert taken == pytest.approx({step: most - weights for step, (most, _) in steps.items()}, rel=NEAR.get(family, 0))


@pytest.mark.families
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells how much memory a process had")
@pytest.mark.parametrize("name", ["llava", "qwen2_vl"])
def test_the_plan_is_within_15_percent_of_measured_memory(name: str) -> None:
    for case, (planned, most) in measured(name, "asking", *TRAININGS).items():
        assert 0.85 < planned / most < 1.15, (case, planned, most)


@pytest.mark.families
@pytest.mark.parametrize("title", ["## Qwen2.5-VL-7B on 80 GB", "## Qwen2.5-VL-3B on 24 GB"])
def test_the_tables_of_the_page_are_what_the_command_prints(title: str, strop: Strop) -> None:
    save_published(Path("models"))
    words, printed = plan_shown(title)
    ran = strop(*words)
    assert (ran.out, ran.code) == (printed, 0), ran.err

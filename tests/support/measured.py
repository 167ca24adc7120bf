"""Measures what models of middle size take of memory on the CPU, beside what is planned: a process of its own.

    python -m tests.support.measured llava "adapters, recomputed"

prints {case: [bytes planned, bytes measured]}. The allocator gives back at once what is freed (`ALLOCATOR`), so that
the most memory that the process had is the most that its tensors had; the kernel's mark of it is set back before each
case.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "0"}

WIDE = {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 6, "num_attention_heads": 8,
        "num_key_value_heads": 4, "vocab_size": 40_000}  # fmt: skip
"""Of the language model: sixty million weights, two thirds of them words."""

ROWS, ANSWER, PAIRS = 16, 24, 2
REJECTED = "a blue circle and a red square. " * 4
QUESTION = "what is in this picture? " * 8
CHOSEN = "a red square and a blue circle. " * 4

TRAININGS = {
    f"{weights}{', recomputed' if recomputed else ''}": (name, recomputed)
    for weights, name in (("all weights", "all"), ("adapters", "lora"))
    for recomputed in (False, True)
}
"""Name of a case -> (`optimise.weights`, whether activations are computed twice)."""


def measured(family: str, *cases: str) -> Mapping[str, tuple[int, int]]:
    """(bytes planned, bytes measured) of each case of a family, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.support.measured", family, *cases],
        env={**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {case: (planned, most) for case, (planned, most) in json.loads(ended.stdout.splitlines()[-1]).items()}


def _status(field: str) -> int:
    """Bytes, by the kernel's own file about this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def _peak(work: Callable[[], object]) -> int:
    """The most memory while some work is done, beyond what the process had before."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    work()
    return _status("VmHWM") - before


def _measure(family: str, names: list[str]) -> Mapping[str, tuple[int, int]]:
    import torch
    from transformers import AutoModelForImageTextToText

    from harness.models.footprint import asking
    from harness.models.options import ModelOptions
    from harness.models.outline import outline_of, question_of
    from harness.models.prompts import prompt_reader
    from harness.models.vlm import Vlm
    from harness.types import Sample, Sampling
    from loops.groups import Pair
    from loops.optimise.dpo import Dpo
    from loops.optimise.footprint import training
    from loops.optimise.parts import prepare
    from loops.optimise.training import agreed_trainer, trl_settings
    from tests.support.families import FAMILIES
    from tests.support.families.member import picture

    member = FAMILIES[family]()
    options, sampling = ModelOptions(device="cpu", pictures="processor"), Sampling(max_tokens=ANSWER)
    reader = prompt_reader(member.model.config, member.processor, options.pictures)
    samples = [
        Sample(id=str(number), prompt=QUESTION, images=(partial(picture, 84, 84, number),), target=None,
               cluster=str(number))
        for number in range(ROWS)
    ]  # fmt: skip
    pairs = [Pair(sample=sample, chosen=CHOSEN, rejected=REJECTED, reversed=False) for sample in samples[:PAIRS]]
    length = len(reader.answered(samples[0], CHOSEN)[1]) + 1
    end = reader.end_token([reader.tokenizer.eos_token_id])

    def new(config: Any) -> Any:
        torch.manual_seed(0)
        return AutoModelForImageTextToText.from_config(copy.deepcopy(config), dtype=torch.float32)

    def recipe(case: str) -> Dpo:
        trl = {"per_device_train_batch_size": PAIRS, "max_steps": 2}
        return Dpo(weights=TRAININGS[case][0], dtype="float32", trl=trl).settled(0)

    def settings(case: str, scratch: str) -> Any:
        return trl_settings(recipe(case), scratch, seed=0, run_name="", checkpointing=TRAININGS[case][1], device="cpu")

    def work(case: str, config: Any) -> None:
        if case == "asking":
            vlm = Vlm(new(config).eval(), member.processor, name=family, digest="", device="cpu", options=options)
            vlm.stop = set()
            vlm.generate(samples, sampling)
            return
        with tempfile.TemporaryDirectory() as scratch:
            model = prepare(new(config), recipe(case), seed=0)
            agreed_trainer(model, None, pairs, recipe(case), settings(case, scratch), reader, end).trainer.train()

    def planned(case: str, config: Any) -> int:
        with tempfile.TemporaryDirectory() as folder:
            config.save_pretrained(folder)
            member.processor.save_pretrained(folder)
            outline = outline_of(Path(folder), family)
            question = question_of(outline, QUESTION, (84, 84), options)
            if case == "asking":
                return asking(outline, question, sampling, dtype=torch.float32).at(ROWS).total
            chosen = settings(case, folder)
            return training(
                outline, question, recipe(case), chosen, answer=length, own_reference=False, gpu=False, joins=True
            ).memory.total

    small, large = member.model.config, copy.deepcopy(member.model.config)
    for name, value in WIDE.items():
        setattr(large.text_config, name, value)
    if hasattr(large.text_config, "layer_types"):
        large.text_config.layer_types = ["full_attention"] * WIDE["num_hidden_layers"]
    if "mrope_section" in (large.text_config.rope_parameters or {}):
        large.text_config.rope_parameters["mrope_section"] = [8, 12, 12]
        large.vision_config.hidden_size = WIDE["hidden_size"]
    results = {}
    for case in names:
        work(case, small)  # what is made once in a process is made before
        most = _peak(partial(work, case, large))
        results[case] = (planned(case, large), most)
    return results


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2:])))  # noqa: T201

"""The cards of what a round trained: of the whole checkpoint, and of the adapter beside it where there is one; and of a
seed with its adapter merged in.

A card holds nothing that another run of the same recipe would say otherwise: no time, no path of this machine. Figures
are measured after a checkpoint is saved; `strop export --to model-card` writes the card with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.models.hub import origin_of
from harness.models.model_card import ModelCard, descent, name_base, write_model_card
from harness.runs.names import ADAPTER, CHECKPOINT
from harness.wording import counted
from loops.kinds import Optimiser, Round, Study, Trained

_WHOLE = """from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("FOLDER")
processor = AutoProcessor.from_pretrained("FOLDER")"""

_ADAPTER = """from peft import PeftModel
from transformers import AutoModelForImageTextToText

base = AutoModelForImageTextToText.from_pretrained({base})
model = PeftModel.from_pretrained(base, "FOLDER")"""


def write_model_cards(
    context: Round, optimiser: Optimiser, stage: Path, trained: Trained, learnt: Mapping[str, str]
) -> None:
    """Write the cards of the checkpoint and of the adapter in a stage's folder, and name the adapter's base in it.
    `learnt` is what it learnt from, as rows of the cards' table."""
    start = _start(context, stage)
    base = descent(context.study.seed_folder)
    body = _body(context, optimiser, _last(start), trained, learnt)
    write_model_card(stage / CHECKPOINT, _card(base, [optimiser.kind], "finetune", "transformers", body, _WHOLE))
    if (stage / ADAPTER).is_dir():
        name_base(stage / ADAPTER, context.start.path, start)
        origin = origin_of(context.start.path)
        words = [origin.repository if origin else _last(start), *([f'revision="{origin.revision}"'] if origin else [])]
        load = _ADAPTER.format(base=", ".join([json.dumps(words[0]), *words[1:]]))
        relation = "adapter" if origin else "finetune"  # of a later round: it fits the round before alone
        write_model_card(stage / ADAPTER, _card(base, [optimiser.kind, "lora"], relation, "peft", body, load))


def write_merged_card(study: Study, adapter: Path, stage: Path) -> None:
    """Write the card of a seed that was saved with its adapter merged in, in a stage's folder."""
    origins = {"model": origin_of(study.seed_folder), "adapter": origin_of(adapter)}
    names = {"model": _last(study.model), "adapter": adapter.name}
    named = {part: str(origin) if (origin := origins[part]) else name for part, name in names.items()}
    body = (
        f"# {study.name}, seed\n\nA vision-language model with a LoRA adapter merged into its weights, by Strop.\n\n"
        f"| | |\n| --- | --- |\n| model | {named['model']} |\n| adapter | {named['adapter']} |"
    )
    base = descent(study.seed_folder)
    write_model_card(stage / CHECKPOINT, _card(base, ["lora"], "finetune", "transformers", body, _WHOLE))


def _start(context: Round, stage: Path) -> str:
    """What people call the checkpoint that a round starts from: the seed's name, or its folder in the run's."""
    run = stage.parent.parent
    if context.start == context.seed and context.start.path == context.study.seed_folder:
        return context.study.model
    return context.start.path.relative_to(run).as_posix() if context.start.path.is_relative_to(run) else "checkpoint"


def _last(name: str) -> str:
    """Of a folder that lies somewhere on this machine its name; anything else as it is."""
    return Path(name).name if name.startswith((".", "/", "~")) else name


def _card(base: Mapping[str, Any], tags: Sequence[str], relation: str, library: str, body: str, load: str) -> ModelCard:
    metadata = {
        **base,
        **({"base_model_relation": relation} if "base_model" in base else {}),
        "library_name": library,
        "pipeline_tag": "image-text-to-text",
        "tags": ["strop", *tags],
    }
    return ModelCard(metadata=metadata, body=f"{body}\n\n## Load\n\n```python\n{load}\n```")


def _body(context: Round, optimiser: Optimiser, start: str, trained: Trained, learnt: Mapping[str, str]) -> str:
    study, origin = context.study, origin_of(context.start.path)
    commit = f", commit {origin.revision}" if origin else ""
    fields = optimiser.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    rows = {
        "trained from": f"{start}{commit}, weights {context.start.digest}",
        "pictures and prompts": f"training pool of {study.source}",
        "answers": study.collect.kind,
        "judged by": f"{study.verify.kind}, autonomy level {study.level}",
        **learnt,
        "trained by": f"{optimiser.kind}, {counted(trained.steps, 'step')}"
        + (f", `{json.dumps(fields, sort_keys=True)}`" if fields else ""),
        "training seed": str(study.seed),
    }
    table = "\n".join(f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in rows.items())
    return (
        f"# {study.name}, round {context.number}\n\nA vision-language model trained on its own answers, by Strop.\n\n"
        f"| | |\n| --- | --- |\n{table}"
    )

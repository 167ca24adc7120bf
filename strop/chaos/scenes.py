"""What is disturbed: an offline round, an on-policy round, a grid, and the evaluation of a served model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_PLUGIN = """\
from tasks.pictos.benchmarks import PictosCaptions, caption_samples

class Few(PictosCaptions):
    def samples(self, split):
        return caption_samples(split, 60 if self.name == "asked_scenes" else 8)

TASKS = {"few_scenes": lambda: Few(name="few_scenes"), "asked_scenes": lambda: Few(name="asked_scenes")}
"""
"""The benchmarks of Pictos compose thousands of scenes before the first is asked; these a few."""

_SMALL: Mapping[str, Any] = {
    "rounds": 1,
    "collect": {"samples": 12, "temperature": 1.5, "max_tokens": 12, "unfinished": "keep", "max_unfinished": 1},
    "verify": {"kind": "random"},
    "optimise": {"trl": {"per_device_train_batch_size": 8, "num_train_epochs": 1, "learning_rate": 1e-4}},
    "evaluate": {"tasks": ["few_scenes"], "max_tokens": 24},
    "watch": {"limit": 4},
}

_SAMPLED = {**_SMALL["collect"], "kind": "sampling", "samples": 4, "answers": 4}

_ON_POLICY: Mapping[str, Any] = {
    **_SMALL,
    "collect": _SAMPLED,
    "verify": {"kind": "shorter"},
    "optimise": {"kind": "grpo", "trl": {"per_device_train_batch_size": 8, "learning_rate": 1e-4}},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A command by its name for people, and its words for a folder that it writes into; `is_served` where the model is
    an endpoint's, which counts what it is asked."""

    name: str
    words: Callable[[Path], list[str]]
    is_served: bool = False


def scenes(model: str, url: str, scratch: Path) -> tuple[Scene, ...]:
    """The commands, of a model that runs here and of an endpoint's; recipes are filed in `scratch`."""
    offline = _file(scratch / "offline.yaml", {"name": "offline", "model": model, **_SMALL})
    on_policy = _file(scratch / "on-policy.yaml", {"name": "on-policy", "model": model, **_ON_POLICY})
    fields = {"base": str(offline), "seeds": [0], "set": {"watch": None}}
    grid = _file(scratch / "grid.yaml", {**fields, "vary": {"grid": {"verify.kind": ["random", "shorter"]}}})
    (scratch / "tasks").mkdir()
    (scratch / "tasks" / "few.py").write_text(_PLUGIN, encoding="utf-8")
    evaluation = ["eval", "--model", "m", "--endpoint", url, "--tasks", "asked_scenes", "--parallel", "4"]
    own = ["--plugin-path", str(scratch / "tasks"), "--out"]
    return (
        Scene(name="offline round", words=lambda out: ["run", offline, *own, str(out)]),
        Scene(name="on-policy round", words=lambda out: ["run", on_policy, *own, str(out)]),
        Scene(name="grid", words=lambda out: ["grid", grid, *own, str(out)]),
        Scene(name="served evaluation", words=lambda out: [*evaluation, *own, str(out)], is_served=True),
    )


def _file(path: Path, fields: Mapping[str, Any]) -> str:
    path.write_text(yaml.safe_dump(dict(fields), sort_keys=False), encoding="utf-8")
    return str(path)

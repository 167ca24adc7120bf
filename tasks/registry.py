"""The tasks by name. A new one is a file and a line here."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from harness.errors import UsageError
from harness.types import Sample, Task
from tasks.benchmarks import Chair, MathVista, Pope, ScienceQa, ScienceQaImg
from tasks.coco_tasks import Grounding, Ic
from tasks.pictos.benchmarks import PictosCaptions, PictosChair, PictosPope, caption_pool
from tasks.pictos.quiz import PictosGrounding, PictosMathVista, PictosScienceQA
from tasks.plugins import plugins

TASKS: Mapping[str, Callable[[], Task]] = MappingProxyType(
    {
        "pictos_pope": PictosPope,
        "pictos_chair": PictosChair,
        "pictos_captions": PictosCaptions,
        "pictos_scienceqa": PictosScienceQA,
        "pictos_mathvista": PictosMathVista,
        "pictos_grounding": PictosGrounding,
        "pope": Pope,
        "chair": Chair,
        "scienceqa": ScienceQa,
        "scienceqa_img": ScienceQaImg,
        "mathvista": MathVista,
        "ic": Ic,
        "grounding": Grounding,
    }
)
"""Those that come with Strop; `tasks.plugins` finds those of others."""

POOLS: Mapping[str, Callable[[int, int], Sequence[Sample]]] = MappingProxyType(
    {"pictos_captions": caption_pool, "pictos_chair": caption_pool}
)


def known_tasks() -> Mapping[str, Callable[[], Task]]:
    """Every task by name: ours, then other people's. Raises `UsageError` where one of those has a taken name."""
    found: dict[str, Callable[[], Task]] = dict(TASKS)
    for plugin in plugins():
        if plugin.name in found:
            raise UsageError(f"{plugin.origin}: a task '{plugin.name}' is there already; give this one another name")
        found[plugin.name] = plugin.make
    return found


def find_task(name: str) -> Task:
    """The task of that name; raises `UsageError` with the nearest name where there is none."""
    known = known_tasks()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"no task is called '{name}'{hint} (`strop tasks` lists them all)")
    return known[name]()


def training_pool(name: str, start: int, count: int) -> Sequence[Sample]:
    """`count` training samples of a task from number `start` on: never of the scenes that it is measured on."""
    if name not in POOLS:
        raise UsageError(f"task '{name}' has no training pool; these have one: {', '.join(POOLS)}")
    return POOLS[name](start, count)

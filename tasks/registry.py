"""The tasks by name. A new one is a file and a line here."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.errors import UsageError
from harness.types import Pooled, Task
from tasks.benchmarks import Chair, MathVista, Pope, ScienceQa, ScienceQaImg
from tasks.coco_tasks import Grounding, Ic
from tasks.pictos.benchmarks import PictosCaptions, PictosChair, PictosPope, caption_pool
from tasks.pictos.quiz import PictosGrounding, PictosMathVista, PictosScienceQA
from tasks.pictos.world import SPLITS
from tasks.plugins import plugins
from tasks.pools import OwnPool, WorldPool, own_pool

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

POOLS = ("pictos_captions", "pictos_chair")
"""Those of them that have a training pool: scenes of the embedded world, to be described."""


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


def training_pool(source: str) -> WorldPool | OwnPool:
    """The training pool of a task, or of the pictures that KIND:PATH names (`tasks.pools`): nothing that tasks measure
    on. Raises `UsageError` for a task without one."""
    if ":" in source:
        return own_pool(source)
    if source in POOLS:
        return WorldPool(name=source, size=len(SPLITS["pool"]), scenes=caption_pool)
    task = find_task(source)
    if not isinstance(task, Pooled):
        raise UsageError(
            f"task '{source}' has no training pool; these have one: {', '.join(POOLS)}; pictures of your own are one "
            "too: source=folder:PATH"
        )
    samples = tuple(task.pool())
    return OwnPool(source=source, samples=samples, has_gold=all(one.target is not None for one in samples))

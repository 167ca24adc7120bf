"""Collect descriptions of scenes that the model makes up, against its answers to the pictures that are drawn of them.

The model describes a picture that it is not shown; the world draws what it said, so that the description is right by
its making; and the model is asked about the picture. Where its answer is another, that is the one to avoid. Pictures
and texts are the model's own, and nobody judges them (level 5 of the survey arXiv 2510.02665).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harness.errors import RecipeError, RunError
from harness.files import digest_of_json
from harness.types import Advance, Drawing, Group, Picture, Sample
from harness.wording import one_line
from loops.collect.asking import AskingCollector, group_of, kept_answers
from loops.kinds import Collecting, Round, Study

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

Draw = Callable[[str, int], Picture | None]
"""Draws a description, as `harness.types.Drawing` does."""


def _nothing(text: str, seed: int) -> Picture | None:
    return None


class SelfScene(AskingCollector):
    """A description that the model makes up, against its answer to the picture of it."""

    kind: Literal["self_scene"] = "self_scene"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    passes: ClassVar[int] = 2
    self_made: ClassVar[bool] = True
    own_pictures: ClassVar[bool] = True

    temperature: float = Field(default=1.0, gt=0, description="of descriptions and answers")
    imagine: str | None = Field(
        default=None, min_length=1, description="what a scene is asked by, without a picture; else the pool's prompt"
    )

    def refuse(self, study: Study) -> None:
        if study.verify.sees_gold:
            raise RecipeError(
                f"verify.kind {study.verify.kind}: pictures that the model makes up are in no task; take none, or clip"
            )
        _draw_of(study)

    def open(self, context: Round) -> Collecting:
        model, draw = context.load_model(), _draw_of(context.study)

        def collect(samples: Sequence[Sample], advance: Advance) -> list[Group]:
            return self.ask(model, samples, seed=context.draw, advance=advance, draw=draw)

        return replace(self.collecting(model, context), collect=collect)

    def ask(
        self,
        model: Vlm,
        samples: Sequence[Sample],
        *,
        seed: int,
        advance: Advance | None = None,
        draw: Draw = _nothing,
    ) -> list[Group]:
        """Groups of two: (the description, the answer to its picture), of the descriptions that can be drawn. Raises
        `RunError` where none can."""
        blank = [replace(sample, images=(), prompt=self.imagine or sample.prompt) for sample in samples]
        texts = kept_answers(model, blank, self, self.sampling(seed=seed), advance=advance)
        scenes = []
        for sample, described in zip(samples, texts, strict=True):
            picture = draw(described[0][0], int(digest_of_json([seed, sample.id])[:12], 16))
            if picture is not None:
                scenes.append((replace(sample, id=f"self-made/{sample.id}", images=(picture,)), described))
        if samples and not scenes:
            raise RunError(
                f"collect.kind self_scene: nothing that the model described can be drawn "
                f"('{one_line(texts[0][0][0])[:60]}'); set another collect.imagine"
            )
        made = [sample for sample, _ in scenes]
        answers = kept_answers(model, made, self, self.sampling(seed=seed + 1), advance=advance)
        if advance:
            advance(len(samples) - len(made))
        return [
            group_of(sample, described, answer) for (sample, described), answer in zip(scenes, answers, strict=True)
        ]


def _draw_of(study: Study) -> Draw:
    """What draws the pool's world; raises `RecipeError` where nothing does."""
    tasks: Mapping[str, object] = study.setting.tasks
    task = None if ":" in study.source else tasks[study.source]
    if not isinstance(task, Drawing):
        raise RecipeError(
            f"collect.kind self_scene: source {study.source} is no world that draws what a text describes; take "
            "pictos_captions"
        )
    return task.picture_of

"""POPE as a task that asks a model: questions and pictures from the data folder, or from the hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.data.folder import coco_picture, missing_file
from tasks.data.hub import HubPicture, questions_from, read_hub, required_picture
from tasks.data.root import DataRoot
from tasks.data.rows import Row
from tasks.data.splits import refuse_other_split
from tasks.pope import marks, questions, sources
from tasks.pope.build import built_set
from tasks.reading.profiles import scorers_by_reader
from tasks.reading.readers import YES_NO_PROFILES


@dataclass(frozen=True, kw_only=True, slots=True)
class Pope:
    """POPE: is this object in the picture? 500 photographs of COCO, three kinds of absent objects, half of it yes.

    Or as many as were built from other annotations (`strop data build pope`), which results then say.
    """

    name: str = marks.NAME
    version: int = marks.VERSION
    metrics: tuple[Metric, ...] = marks.pope_metrics(tuple(questions.ROWS))
    headline: str = marks.HEADLINE
    max_tokens: int = 128  # LLaVA's model_vqa_loader.py
    profile: str = "official"
    data_root: DataRoot = field(default_factory=DataRoot)
    rows: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: questions.ROWS, hash=False)
    """Category -> the numbers of questions that its editions have."""
    about: Mapping[str, Any] | None = field(default=None, hash=False)
    """What results tell of questions that a file of answers was joined to; None: of those in the data folder."""

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        if self.data_root.hub:
            return _pope_of_hub(self.data_root, self.rows)
        folder = questions.labels_folder(self.data_root.folder / self.name)
        if folder is None:
            raise missing_file(self.data_root.folder, self.name, "coco_pope_random.json", sources.HUB)
        built = built_set(folder)
        if built is None:
            samples = questions.load_questions(folder, self.rows)
        else:
            samples = questions.load_questions(folder, {group: (count,) for group, count in built.rows.items()})
        annotations = built.annotations if built else ()
        return [
            replace(sample, images=(coco_picture(self.data_root.folder, self.name, sample.meta["image"], annotations),))
            for sample in samples
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    def read(self, sample: Sample, answer: str) -> str | None:
        return YES_NO_PROFILES[self.profile](answer)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return scorers_by_reader(YES_NO_PROFILES, marks.score_pope)

    @property
    def replicas(self) -> Collection[str]:
        return marks.REPLICAS

    def gold(self, sample: Sample) -> str:
        return str(sample.target).capitalize()

    def details(self, samples: Sequence[Sample]) -> Details:
        if self.about is not None:
            return Details(metrics=self.metrics, info=self.about)
        info: dict[str, Any] = {
            **questions_from(sources.HUB, self.data_root),
            "rows": dict(Counter(str(sample.meta["group"]) for sample in samples)),
        }
        folder = None if self.data_root.hub else questions.labels_folder(self.data_root.folder / self.name)
        if folder and (built := built_set(folder)):
            info["built"] = built.about
        return Details(metrics=self.metrics, info=info)


def _pope_of_hub(data: DataRoot, rows: Mapping[str, tuple[int, ...]]) -> list[Sample]:
    samples = []
    first: dict[str, HubPicture | None] = {}  # a photograph is stored once for each of its 18 questions
    for row, picture in read_hub(sources.HUB, data).rows():
        image, category = row.text("image_source"), row.one_of("category", tuple(rows))
        label = Row(
            row.location,
            {"image": f"{image}.jpg", "text": row.text("question"), "label": row.text("answer").strip().lower()},
        )
        shown = first.setdefault(image, picture)
        samples.append(replace(questions.question_sample(label, category), images=required_picture(row, shown)))
    counted = Counter(sample.meta["group"] for sample in samples)
    for category, sizes in rows.items():
        questions.refuse_another_size(sources.HUB.name, category, counted[category], sizes[:1])
    return questions.together(samples)

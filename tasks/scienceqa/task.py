"""ScienceQA and SQA-IMG as tasks that ask a model: questions and pictures from the data folder, or from the hub."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.overlap import without_shared
from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.data.folder import first_file, missing_file, picture_folder, pictures_in
from tasks.data.hub import questions_from, read_hub
from tasks.data.root import DataRoot
from tasks.data.rows import Row
from tasks.data.splits import refuse_other_split
from tasks.reading.profiles import scorers_by_reader
from tasks.reading.readers import OPTION_PROFILES
from tasks.scienceqa import marks, questions, sources


@dataclass(frozen=True, kw_only=True, slots=True)
class ScienceQa:
    """ScienceQA: school science with two to five options, 4,241 questions, 2,017 of them with a picture (SQA-IMG)."""

    name: str = marks.NAME
    version: int = marks.VERSION
    metrics: tuple[Metric, ...] = marks.scienceqa_metrics()
    headline: str = marks.HEADLINE
    max_tokens: int = 1024  # LLaVA's model_vqa_science.py
    profile: str = "official"
    data_root: DataRoot = field(default_factory=DataRoot)
    size: questions.Size = questions.TEST
    about: Mapping[str, Any] | None = field(default=None, hash=False)
    """What results tell of questions that a file of answers was joined to; None: of those in the data folder."""

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        if self.data_root.hub:
            return _of_hub(self.data_root, split, self.size)
        folder = self.data_root.folder / marks.NAME
        path = first_file(folder, "llava_test_CQM-A.json", "problems.json")
        if path is None:
            raise missing_file(self.data_root.folder, marks.NAME, "llava_test_CQM-A.json", sources.HUB)
        samples = questions.load_questions(path, first_file(folder, "pid_splits.json"), self.size)
        return self._with_pictures(samples, split)

    def pool(self) -> Sequence[Sample]:
        """The split `train`, without the questions that show a picture of the test split, or a copy of one, and those
        without a picture that the test split asks too."""
        train, test = ([*self._split(split)] for split in ("train", "test"))
        return without_shared(train, test)

    def _split(self, split: str) -> Sequence[Sample]:
        """A split by the authors' own names, however many questions there are of it."""
        if self.data_root.hub:
            return _of_hub(self.data_root, split, None)
        path = self.data_root.folder / marks.NAME / "problems.json"
        if not path.is_file():
            raise missing_file(self.data_root.folder, marks.NAME, path.name, sources.HUB)
        return self._with_pictures(questions.load_split(path, split), split)

    def _with_pictures(self, samples: Mapping[str, Sample], split: str) -> list[Sample]:
        pictures = picture_folder(
            self.data_root.folder,
            marks.NAME,
            f"{split}.zip",
            *(f"{marks.NAME}/{folder_name}" for folder_name in (split, f"images/{split}", "images")),
        )
        return [replace(sample, images=pictures_in(pictures, sample.meta["image"])) for sample in samples.values()]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    def read(self, sample: Sample, answer: str) -> str | None:
        return questions.read_letter(sample.prompt, answer, self.profile)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return scorers_by_reader(OPTION_PROFILES, marks.score_scienceqa)

    @property
    def replicas(self) -> Collection[str]:
        return marks.REPLICAS

    def gold(self, sample: Sample) -> str:
        return str(sample.target.gold)

    def details(self, samples: Sequence[Sample]) -> Details:
        cells = dict.fromkeys([*marks.CELLS, *(cell for sample in samples for cell in sample.target.cells)])
        info = questions_from(sources.HUB, self.data_root) if self.about is None else self.about
        return Details(metrics=marks.scienceqa_metrics(list(cells)), info=info)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScienceQaImg(ScienceQa):
    """ScienceQA's 2,017 questions with a picture (SQA-IMG), which tables of vision-language models print."""

    name: str = "scienceqa_img"
    headline: str = "accuracy"

    def samples(self, split: str) -> Sequence[Sample]:
        return [sample for sample in ScienceQa.samples(self, split) if sample.images]

    def pool(self) -> Sequence[Sample]:
        return [sample for sample in ScienceQa.pool(self) if sample.images]


def _of_hub(data: DataRoot, split: str, size: questions.Size | None) -> list[Sample]:
    """The hub has no problem ids, so that a question goes by its row; one of the pool by its split too."""
    source = replace(sources.HUB, files=sources.HUB.files.replace("test", split))
    named = "row" if split == "test" else f"{split}-row"
    samples = {}
    for index, (row, picture) in enumerate(read_hub(source, data).rows()):
        problem = Row(row.location, {**row.content, "image": "image.png" if picture else ""})
        sample = questions.problem_sample(f"{named}-{index}", problem)
        samples[sample.id] = replace(sample, images=(picture,) if picture else ())
    questions.refuse_another_size(source.name, samples, size)
    return list(samples.values())

"""PHYSICS as a task that asks a model: problems and figures from the data folder, or from a copy of the repository."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import MissingError
from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.data.folder import missing_file
from tasks.data.root import HUB_VARIABLE, DataRoot
from tasks.data.splits import refuse_other_split
from tasks.physics import marks, questions, sources
from tasks.physics.evaluations import Evaluation, score_evaluation
from tasks.physics.rule import score_by_rule


@dataclass(frozen=True, kw_only=True, slots=True)
class Physics:
    """PHYSICS: 1,297 problems of university physics, 298 of them with figures, answered in boxes."""

    name: str = marks.NAME
    version: int = marks.VERSION
    metrics: tuple[Metric, ...] = marks.physics_metrics()
    headline: str = marks.HEADLINE
    max_tokens: int = 8192  # the authors' offline_evaluation
    profile: str = marks.RULE
    data_root: DataRoot = field(default_factory=DataRoot)
    size: questions.Size | None = questions.WHOLE
    about: Mapping[str, Any] | None = field(default=None, hash=False)
    """What results tell of problems that a file of responses was joined to; None: of those in the data folder."""
    evaluations: Mapping[str, Evaluation] | None = field(default=None, hash=False)
    """Id -> stored verdicts; None: none are stored."""
    lost: Collection[str] = field(default=frozenset(), hash=False)
    """The ids of problems whose evaluation was lost."""

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        return self._problems(self.size)

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        """`official` where verdicts are stored, which replays them; and `rule`."""
        stored = {} if self.evaluations is None else {marks.OFFICIAL: partial(_score_official, self.evaluations)}
        return {**stored, marks.RULE: partial(_score_by_rule, self.lost)}

    @property
    def replicas(self) -> Collection[str]:
        return (marks.OFFICIAL,)

    def gold(self, sample: Sample) -> str:
        return "\n\n".join(f"\\[\\boxed{{{answer}}}\\]" for answer in sample.target.answers)

    def details(self, samples: Sequence[Sample]) -> Details:
        cells = dict.fromkeys(cell for sample in samples for cell in sample.target.cells)
        info = self.about
        if info is None:
            where = f"{sources.REPOSITORY}@{sources.REVISION}" if self.data_root.hub else "data folder"
            info = {"questions": where, "prompt": "the authors' system message before the problem, all figures"}
        return Details(metrics=marks.physics_metrics(info.get("cells", list(cells))), info=info)

    def _problems(self, size: questions.Size | None) -> list[Sample]:
        return list(questions.load_problems(self._folder(), size).values())

    def _folder(self) -> Path:
        """The folder of the problems: the data folder's, or with STROP_HUB a copy of the authors' repository."""
        hub = self.data_root.hub
        if not hub:
            folder = self.data_root.folder / marks.NAME
            if not questions.problem_files(folder):
                raise missing_file(self.data_root.folder, marks.NAME, sources.SOURCES[0].file)
            return folder
        if not isinstance(hub, Path) or not questions.problem_files(hub / sources.REPOSITORY):
            copy = hub / sources.REPOSITORY if isinstance(hub, Path) else f"FOLDER/{sources.REPOSITORY}"
            raise MissingError(
                f"PHYSICS is published on GitHub and not on the hub: clone {sources.REPOSITORY} at {sources.REVISION} "
                f"to {copy} and set {HUB_VARIABLE}=FOLDER, or leave {HUB_VARIABLE} unset to read the data folder"
            )
        return hub / sources.REPOSITORY


@dataclass(frozen=True, kw_only=True, slots=True)
class PhysicsFigures(Physics):
    """PHYSICS's 298 problems with figures. The 999 others are a training pool: one set is published, and no split of it
    is for training."""

    name: str = "physics_figures"

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        return [problem for problem in self._problems(self.size) if problem.images]

    def pool(self) -> Sequence[Sample]:
        problems = self._problems(None)
        figures = {problem.cluster for problem in problems if problem.images}
        return [problem for problem in problems if not problem.images and problem.cluster not in figures]


def _score_official(evaluations: Mapping[str, Evaluation], sample: Sample, answer: str) -> Score:
    stored = evaluations.get(sample.id)
    return marks.score_lost(sample.target) if stored is None else score_evaluation(sample.target, answer, stored)


def _score_by_rule(lost: Collection[str], sample: Sample, answer: str) -> Score:
    # of a lost row the response may be there, beside the evaluation
    is_lost = sample.id in lost and not answer.strip()
    return marks.score_lost(sample.target) if is_lost else score_by_rule(sample.target, answer)

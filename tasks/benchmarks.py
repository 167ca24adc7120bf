"""The real benchmarks as tasks that ask a model: POPE, CHAIR, ScienceQA and MathVista, marked by the files beside this.

Questions and pictures come from the data folder in their authors' layout or, where STROP_HUB says so, from the hub at
the revision pinned here; the two are never mixed, and nothing is fetched unasked. Building a task reads nothing.
Each reads its answers in several ways; the headline is "official", as in `strop score`, and MathVista's is "strict",
since its authors' rule reads what a language model took out of an answer. The one split, "test", is what published
tables are over: MathVista's is its authors' testmini.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from harness.errors import MissingError, UsageError
from harness.types import Details, Metric, Sample, Score, Scorer
from tasks.chair import marks as chair
from tasks.chair.truth import ChairTruth, tables_folder, truth_in
from tasks.data.folder import coco_picture, first_file, missing_file, picture_folder, pictures_in
from tasks.data.hub import HubPicture, HubSource, read_hub, wanted_hub
from tasks.data.rows import Row
from tasks.data.sources import data_folder
from tasks.mathvista import marks as mathvista
from tasks.mathvista.readers import MATHVISTA_PROFILES, Question, Reply
from tasks.pope import marks as pope
from tasks.pope.build import built_set
from tasks.reading import text
from tasks.reading.readers import LETTERS, OPTION_PROFILES, YES_NO_PROFILES
from tasks.scienceqa import marks as scienceqa

POPE_HUB = HubSource(
    id="lmms-lab/POPE",
    revision="4db1276663dfa5eb8ad16a52d24c31a09e470896",
    files="data/test-*.parquet",
    picture="image",
    columns=("question", "answer", "image_source", "category"),
)
SCIENCEQA_HUB = HubSource(
    id="derek-thomas/ScienceQA",
    revision="f18b0a70359ebfb41f658fd564208d0355b013f4",
    files="data/test-*.parquet",
    picture="image",
    columns=("question", "choices", "answer", "hint", "grade", "subject"),
)
MATHVISTA_HUB = HubSource(
    id="AI4Math/MathVista",
    revision="2b6ad69445fbb5695c9b165475e8decdbeb97747",
    files="data/testmini-*.parquet",
    picture="decoded_image",
    columns=("pid", "query", "question", "image", "choices", "precision", "answer", "question_type", "answer_type",
             "metadata"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Pope:
    """POPE: is this object in the picture? 500 photographs of COCO, three kinds of absent objects, half of it yes.

    Or as many as were built from other annotations (`strop data build pope`), which results then say.
    """

    name: str = pope.NAME
    version: int = pope.VERSION
    metrics: tuple[Metric, ...] = pope.pope_metrics(tuple(pope.ROWS))
    headline: str = pope.HEADLINE
    max_tokens: int = 128  # LLaVA's model_vqa_loader.py
    profile: str = "official"

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        if wanted_hub():
            return _pope_of_hub()
        folder = pope.labels_folder(data_folder() / self.name)
        if folder is None:
            raise missing_file(self.name, "coco_pope_random.json", POPE_HUB)
        built = built_set(folder)
        if built is None:
            asked = pope.load_questions(folder)
        else:
            asked = pope.load_questions(folder, {group: (count,) for group, count in built.rows.items()})
        annotations = built.annotations if built else ()
        return [replace(one, images=(coco_picture(self.name, one.meta["image"], annotations),)) for one in asked]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return _by_reader(YES_NO_PROFILES, pope.score_pope)

    @property
    def replicas(self) -> Collection[str]:
        return pope.REPLICAS

    def gold(self, sample: Sample) -> str:
        return str(sample.target).capitalize()

    def details(self, samples: Sequence[Sample]) -> Details:
        info: dict[str, Any] = {**_source(POPE_HUB), "rows": dict(Counter(str(one.meta["group"]) for one in samples))}
        folder = None if wanted_hub() else pope.labels_folder(data_folder() / self.name)
        if folder and (built := built_set(folder)):
            info["built"] = built.about
        return Details(metrics=self.metrics, info=info)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chair:
    """CHAIR: which objects a description names that are not in the photograph, on the 500 of COCO that OPERA drew."""

    name: str = chair.NAME
    version: int = chair.VERSION
    metrics: tuple[Metric, ...] = chair.CHAIR_METRICS
    headline: str = chair.HEADLINE
    frontier: tuple[str, str] = ("CHAIRi", "recall")
    max_tokens: int = 512  # OPERA's protocol

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        ids = first_file(data_folder() / self.name, "opera_image_ids.json", "greedy.jsonl")
        if ids is None:
            raise missing_file(self.name, "greedy.jsonl")
        world = _chair_world()
        return [
            Sample(
                id=str(image),
                prompt=chair.PROMPT,
                images=(coco_picture(self.name, f"COCO_val2014_{image:012d}.jpg"),),
                target=world.truth.classes(str(image)),
                cluster=str(image),
            )
            for image in chair.load_image_ids(ids)
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return _score_caption(sample, answer, self.profile)

    @property
    def profile(self) -> str:
        """Official, and lemminflect where NLTK's data are missing, as in `strop score chair`."""
        return next(iter(normalisers(data_folder())))

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        # the truth of an annotation folder names what the headline's normaliser reads in the human captions
        return {name: partial(_score_caption, profile=name) for name in normalisers(data_folder())}

    def gold(self, sample: Sample) -> str:
        return chair.caption_naming(sample.target, _chair_world().tables, chair.PROFILES[self.profile].words)

    def details(self, samples: Sequence[Sample]) -> Details:
        world, package = _chair_world(), chair.PROFILES[self.profile].package
        info = {
            "questions": "data folder",
            "truth": world.path.name,
            "objects": world.truth.about,
            "images_of_truth": len(world.truth),
            "captions": len(samples),
            "normaliser": package,
        }
        return Details(metrics=self.metrics, info=info)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScienceQa:
    """ScienceQA: school science with two to five options, 4,241 questions, 2,017 of them with a picture (SQA-IMG)."""

    name: str = scienceqa.NAME
    version: int = scienceqa.VERSION
    metrics: tuple[Metric, ...] = scienceqa.scienceqa_metrics()
    headline: str = scienceqa.HEADLINE
    max_tokens: int = 1024  # LLaVA's model_vqa_science.py
    profile: str = "official"

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        if wanted_hub():
            return _scienceqa_of_hub()
        folder = data_folder() / scienceqa.NAME
        questions = first_file(folder, "llava_test_CQM-A.json", "problems.json")
        if questions is None:
            raise missing_file(scienceqa.NAME, "llava_test_CQM-A.json", SCIENCEQA_HUB)
        pictures = picture_folder(
            scienceqa.NAME, "test.zip", *(f"{scienceqa.NAME}/{place}" for place in ("test", "images/test", "images"))
        )
        asked = scienceqa.load_questions(questions, first_file(folder, "pid_splits.json"))
        return [replace(one, images=pictures_in(pictures, one.meta["image"])) for one in asked.values()]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        return _by_reader(OPTION_PROFILES, scienceqa.score_scienceqa)

    @property
    def replicas(self) -> Collection[str]:
        return scienceqa.REPLICAS

    def gold(self, sample: Sample) -> str:
        return str(sample.target.gold)

    def details(self, samples: Sequence[Sample]) -> Details:
        cells = dict.fromkeys([*scienceqa.CELLS, *(cell for sample in samples for cell in sample.target.cells)])
        return Details(metrics=scienceqa.scienceqa_metrics(list(cells)), info=_source(SCIENCEQA_HUB))


@dataclass(frozen=True, kw_only=True, slots=True)
class ScienceQaImg(ScienceQa):
    """ScienceQA's 2,017 questions with a picture (SQA-IMG), which tables of vision-language models print."""

    name: str = "scienceqa_img"
    headline: str = "accuracy"

    def samples(self, split: str) -> Sequence[Sample]:
        return [one for one in ScienceQa.samples(self, split) if one.images]


@dataclass(frozen=True, kw_only=True, slots=True)
class MathVista:
    """MathVista: mathematics in pictures, by option or by number; the 1,000 questions of testmini, the hint first."""

    name: str = mathvista.NAME
    version: int = mathvista.VERSION
    metrics: tuple[Metric, ...] = mathvista.mathvista_metrics()
    headline: str = mathvista.HEADLINE
    max_tokens: int = 1024
    profile: str = "strict"

    def samples(self, split: str) -> Sequence[Sample]:
        refuse_other_split(self.name, split)
        if wanted_hub():
            return _mathvista_of_hub()
        folder = data_folder() / self.name
        for wanted in ("testmini.json", "query.json"):
            if not (folder / wanted).is_file():
                raise missing_file(self.name, wanted, MATHVISTA_HUB)
        asked = mathvista.load_questions(folder / "testmini.json")
        prompts = mathvista.load_prompts(folder / "query.json", asked)
        picture_folder(self.name, "images.zip", f"{self.name}/images")  # the questions name it themselves
        return [
            replace(one, prompt=prompts[pid], images=pictures_in(folder, one.meta["image"]))
            for pid, one in asked.items()
        ]

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    @property
    def profiles(self) -> Mapping[str, Scorer]:
        """Those that read the response: the official ones read what a language model took out of it, and here none is
        asked."""
        names = (name for name in MATHVISTA_PROFILES if not name.startswith(mathvista.EXTRACTED))
        return {name: partial(_score_mathvista, profile=name) for name in names}

    @property
    def replicas(self) -> Collection[str]:
        return mathvista.REPLICAS

    def gold(self, sample: Sample) -> str:
        """By letter, since an option may be called "(b)" and not be the second."""
        question: Question = sample.target
        said = LETTERS[question.options.index(question.answer)] if question.options else question.answer
        return f'The answer is "{said}".'

    def details(self, samples: Sequence[Sample]) -> Details:
        info = {**_source(MATHVISTA_HUB), "prompt": "query.json: the hint first"}
        return Details(metrics=mathvista.mathvista_metrics(mathvista.cells_of(samples)), info=info)


# From the hub ---------------------------------------------------------------------------------------------------------


def _pope_of_hub() -> list[Sample]:
    samples = []
    first: dict[str, HubPicture | None] = {}  # a photograph is stored once for each of its 18 questions
    for row, picture in read_hub(POPE_HUB).rows():
        image, category = row.text("image_source"), row.one_of("category", tuple(pope.ROWS))
        label = Row(
            row.place,
            {"image": f"{image}.jpg", "text": row.text("question"), "label": row.text("answer").strip().lower()},
        )
        shown = first.setdefault(image, picture)
        samples.append(replace(pope.question_sample(label, category), images=_held(row, shown)))
    counted = Counter(sample.meta["group"] for sample in samples)
    for category in pope.ROWS:
        pope.refuse_another_size(POPE_HUB.name, category, counted[category], pope.ROWS[category][:1])
    return pope.together(samples)


def _scienceqa_of_hub() -> list[Sample]:
    """The hub has no problem ids, so that a question goes by its row."""
    asked = {}
    for index, (row, picture) in enumerate(read_hub(SCIENCEQA_HUB).rows()):
        problem = Row(row.place, {**row.content, "image": "image.png" if picture else ""})
        one = scienceqa.problem_sample(f"row-{index}", problem)
        asked[one.id] = replace(one, images=(picture,) if picture else ())
    scienceqa.refuse_another_size(SCIENCEQA_HUB.name, asked, scienceqa.TEST)
    return list(asked.values())


def _mathvista_of_hub() -> list[Sample]:
    asked = {}
    for row, picture in read_hub(MATHVISTA_HUB).rows():
        precision = row.content["precision"]
        whole = int(precision) if isinstance(precision, float) else precision  # the table has no column of integers
        pid = row.identifier("pid")
        question = mathvista.question_sample(pid, Row(row.place, {**row.content, "precision": whole}))
        asked[pid] = replace(question, images=_held(row, picture))
    mathvista.refuse_another_size(MATHVISTA_HUB.name, asked, mathvista.TESTMINI)
    return list(asked.values())


def _held(row: Row, picture: HubPicture | None) -> tuple[HubPicture]:
    if picture is None:
        raise MissingError(f"{row.place}: the row has no picture")
    return (picture,)


# From the data folder -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _ChairWorld:
    path: Path
    truth: ChairTruth
    tables: chair.ChairTables


def _chair_world() -> _ChairWorld:
    return _chair_world_in(data_folder(), chair.PROFILES[next(iter(normalisers(data_folder())))])


@lru_cache(maxsize=2)
def _chair_world_in(data: Path, normaliser: chair.Normaliser) -> _ChairWorld:
    """Truth and tables of a data folder, read once: a caption is marked by them."""
    path = truth_in(data / chair.NAME)
    if path is None:
        raise missing_file(chair.NAME, "ground_truth_maxlinn.json.gz")
    tables = chair.load_tables(tables_folder(path, data))
    return _ChairWorld(path=path, truth=chair.open_truth(path, tables, words=normaliser.words), tables=tables)


@lru_cache(maxsize=2)
def normalisers(data: Path) -> Mapping[str, chair.Normaliser]:
    """The normalisers that have their data, the one to use first."""
    text.look_in(*(folder / "nltk_data" for folder in (data / chair.NAME, data)))
    return {name: one for name, one in chair.PROFILES.items() if name != "official" or not text.missing_data()}


def _score_caption(sample: Sample, answer: str, profile: str) -> Score:
    return chair.score_caption(chair.PROFILES[profile].words(answer), sample.target, _chair_world().tables)


def _score_mathvista(sample: Sample, answer: str, profile: str) -> Score:
    return mathvista.score_mathvista(sample.target, Reply(response=answer), profile)


def _by_reader(readers: Iterable[str], score: Callable[[Any, str, str], Score]) -> Mapping[str, Scorer]:
    return {name: partial(_score_by, score, name) for name in readers}


def _score_by(score: Callable[[Any, str, str], Score], profile: str, sample: Sample, answer: str) -> Score:
    return score(sample.target, answer, profile)


def refuse_other_split(task: str, split: str) -> None:
    """Raise `UsageError` for any split but "test"."""
    if split != "test":
        raise UsageError(f"{task} has no split '{split}'; it has test")


def _source(hub: HubSource) -> dict[str, str]:
    return {"questions": hub.name if wanted_hub() else "data folder"}

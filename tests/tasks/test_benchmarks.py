"""The real benchmarks ask what their authors ask, of the data folder, and every fault of the data is one line."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.check import check
from harness.engine import evaluate
from harness.errors import DataError, MissingError, PictureError, StropError, UsageError
from harness.files import write_json, write_jsonl
from harness.marking import remark
from harness.pictures import open_picture
from harness.profiles import profiles_of
from harness.results import TaskResult, mark
from harness.stats import estimate
from harness.types import Advance, Detailed, Profiled, Sample, Sampling, Task
from tasks.chair import answers as chair_answers
from tasks.chair import questions as chair_questions
from tasks.chair.task import Chair
from tasks.data.folder import coco_picture
from tasks.ic import answers as ic_answers
from tasks.ic import marks as ic
from tasks.ic.build import ic_from_coco, write_ic
from tasks.ic.task import Ic
from tasks.mathvista import questions as mathvista
from tasks.mathvista.task import MathVista
from tasks.pictos import coco
from tasks.pictos.world import compose, draw, seeds_of
from tasks.pope import questions as pope
from tasks.pope.answers import load_answers as load_pope_answers
from tasks.pope.task import Pope
from tasks.reading import object_words, text
from tasks.reading.object_words import normalisers
from tasks.registry import find_task
from tasks.scienceqa.task import ScienceQa, ScienceQaImg
from tests.support.scripted import Scripted
from tests.support.shell import Strop
from tests.support.worlds import yes_no

REAL = ("pope", "chair", "scienceqa", "mathvista", "ic", "grounding")
LABEL = {"question_id": 1, "image": "a.jpg", "text": "Is there a cat in the image?", "label": "yes"}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with nothing in it, and no hub."""
    monkeypatch.setenv("STROP_DATA", str(tmp_path))
    monkeypatch.delenv("STROP_HUB", raising=False)
    return tmp_path


@pytest.fixture
def data(empty: Path, conformance: Path) -> Path:
    """A data folder with the authors' files and, where they may be passed on, their pictures."""
    (empty / "nltk_data").symlink_to(conformance / "nltk_data")
    for task, files in {
        "chair": ("ground_truth_maxlinn.json.gz", "synonyms.json", "double_words.json", "opera_image_ids.json"),
        "scienceqa": ("llava_test_CQM-A.json", "pid_splits.json"),
        "mathvista": ("testmini.json", "query.json"),
    }.items():
        (empty / task).mkdir()
        for file in files:
            (empty / task / file).symlink_to(conformance / task / file)
    (empty / "scienceqa/test").symlink_to(conformance / "scienceqa/images")
    (empty / "mathvista/images").symlink_to(conformance / "mathvista/images")
    shutil.copytree(conformance / "pope/labels_3000", empty / "pope")
    (empty / "pope/val2014").mkdir()
    for name in ("COCO_val2014_000000310196.jpg", "COCO_val2014_000000226988.jpg"):  # the first of POPE and of CHAIR
        shutil.copy(conformance / "photos_coco/photos/000000000009.jpg", empty / "pope/val2014" / name)
    return empty


def _asked(says: Callable[[Sample], str], task: Task, limit: int) -> TaskResult:
    (found,) = evaluate(Scripted(says), [task], split="test", limit=limit)
    return found


@pytest.mark.parametrize("name", REAL)
def test_a_real_task_is_a_task_with_profiles_and_details_and_building_it_reads_nothing(empty: Path, name: str) -> None:
    task = find_task(name)
    assert isinstance(task, Task)
    assert isinstance(task, Profiled)
    assert isinstance(task, Detailed)
    assert task.headline in {metric.name for metric in task.metrics}
    assert task == find_task(name)


@pytest.mark.parametrize("name", REAL)
def test_missing_data_are_told_by_the_file_to_get(empty: Path, name: str) -> None:
    remedy = r"choose a set by `strop data build ic" if name == "ic" else r"put it there \(`strop data list`"
    with pytest.raises(MissingError, match=rf"{empty}/{name}/\w.*: no such file; {remedy}"):
        find_task(name).samples("test")


@pytest.mark.parametrize("name", REAL)
def test_there_is_no_split_but_the_published_one(empty: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no split 'dev'; it has test"):
        find_task(name).samples("dev")


@pytest.mark.parametrize(
    ("name", "count"),
    [("pope", 9000), ("chair", 500), ("scienceqa", 4241), ("scienceqa_img", 2017), ("mathvista", 1000)],
)
def test_every_real_task_accepts_its_gold_in_every_profile_and_pays_nothing_for_silence(
    data: Path, name: str, count: int
) -> None:
    task = find_task(name)
    samples = task.samples("test")[:: 7 if name == "pope" else 1]
    # the pictures are not all here
    found = check(task, [replace(sample, images=()) for sample in samples])
    assert found.failures == ()
    assert len(task.samples("test")) == count
    # of MathVista's answers, what is not bare these two show a language model
    asks_a_model = ("lmms-eval/rules", "vlmeval/rules")
    for score in (score for profile, score in profiles_of(task).items() if profile not in asks_a_model):
        assert all(score(sample, task.gold(sample)).value == 1.0 for sample in samples)


# POPE -----------------------------------------------------------------------------------------------------------------


def test_pope_asks_image_by_image_in_llavas_words(data: Path) -> None:
    samples = Pope().samples("test")
    assert [len(list(group)) for _, group in itertools.groupby(samples, lambda one: one.images)] == [18] * 500
    assert Counter((one.meta["group"], one.target) for one in samples) == dict.fromkeys(
        itertools.product(pope.ROWS, ("yes", "no")), 1500
    )
    assert samples[0] == Sample(
        id="random/COCO_val2014_000000310196/snowboard",
        prompt="Is there a snowboard in the image?\nAnswer the question using a single word or phrase.",
        images=(data / "pope/val2014/COCO_val2014_000000310196.jpg",),
        target="yes",
        cluster="COCO_val2014_000000310196.jpg",
        meta={"group": "random", "object": "snowboard", "image": "COCO_val2014_000000310196.jpg"},
    )


def test_asked_questions_with_published_answers_give_the_published_figures(data: Path, conformance: Path) -> None:
    """LLaVA's answers to the older edition, found by what was asked of which image."""
    shutil.rmtree(data / "pope")
    shutil.copytree(conformance / "pope/labels_2910", data / "pope/labels_2910")
    (data / "pope/val2014").mkdir()
    folder = conformance / "pope"
    published = load_pope_answers(
        folder / "answers/llava-v1.5-13b.jsonl", folder / "llava_pope_test.jsonl", folder / "labels_2910"
    )
    said = {
        (one.meta["group"], one.meta["image"], one.meta["object"]): (one, answer)
        for one, answer in zip(published.samples, published.answers, strict=True)
    }
    task, rows = Pope(), []
    for sample in task.samples("test"):
        asked, answer = said[sample.meta["group"], sample.meta["image"], sample.meta["object"]]
        assert (sample.prompt, sample.target) == (asked.prompt, asked.target)
        rows.append(mark(sample, answer, task.score(sample, answer)))
    assert len(rows) == 8910
    found = estimate(rows, task.metrics, draws=1)
    f1 = [round(found[f"{group}/f1"].value or 0, 5) for group in ("adversarial", "popular", "random")]
    assert f1 == [0.84459, 0.86246, 0.87136]


def test_one_pass_is_read_under_every_profile(data: Path) -> None:
    answers = ("Yes", "No.", "", "Maybe")
    order = itertools.count()
    said: dict[str, str] = {}
    found = _asked(lambda one: said.setdefault(one.prompt, answers[next(order) % 4]), Pope(), 18)
    samples = Pope().samples("test")[:18]
    assert found.profile == "official"
    assert {row.parsed for row in found.rows} <= {"yes", "no"}
    strict = [Pope(profile="strict").score(one, row.answer) for one, row in zip(samples, found.rows, strict=True)]
    lost = sum(score.parsed is None for score in strict)
    assert found.info["unread_by_profile"]["official"] == 0
    assert found.info["unread_by_profile"]["strict"] == lost > 0
    assert found.info["read_differently"] >= lost
    assert (found.info["questions"], sum(found.info["rows"].values())) == ("data folder", 18)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{k: v for k, v in LABEL.items() if k != "label"}], r"random\.json:1: field 'label' is missing"),
        ([{**LABEL, "label": "maybe"}], r"random\.json:1: field 'label' must be one of yes, no, found \"maybe\""),
        ([{**LABEL, "image": 7}], r"random\.json:1: field 'image' must be a string, found 7"),
        ([{**LABEL, "text": "Who?"}], r"random\.json:1: field 'text' must be a question"),
        ([LABEL, LABEL], r"ask twice for the same object in the same image: random/a/cat; keep one"),
        ([LABEL], r"coco_pope_random\.json has 1 row, but POPE's random questions are 2; get coco_pope_random\.json"),
    ],
)
def test_malformed_questions_of_pope_are_one_line(
    tmp_path: Path, rows: Sequence[dict[str, object]], message: str
) -> None:
    (tmp_path / "coco_pope_random.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=message) as found:
        pope.load_questions(tmp_path, {"random": (2,)})
    assert "\n" not in str(found.value)


def test_a_folder_of_pictures_that_is_missing_is_named(data: Path) -> None:
    shutil.rmtree(data / "pope/val2014")
    with pytest.raises(
        MissingError, match=r"pope/val2014: no such folder of pictures; unpack val2014\.zip into .*/pope"
    ):
        Pope().samples("test")


@pytest.mark.parametrize(("cut", "message"), [(None, "no such picture"), (5_000, "does not open as a picture")])
def test_a_bad_picture_is_named_before_the_model_is_asked(data: Path, cut: int | None, message: str) -> None:
    picture = data / "pope/val2014/COCO_val2014_000000310196.jpg"
    content = picture.read_bytes()
    picture.unlink()
    if cut:
        picture.write_bytes(content[:cut])
    model = Scripted(lambda _: "Yes")

    def ask(samples: Sequence[Sample], sampling: Sampling, advance: Advance | None = None) -> list[list[str]]:
        raise AssertionError("asked")

    model.generate = ask  # type: ignore[method-assign]
    with pytest.raises(PictureError, match=rf"310196\.jpg: {message}"):
        evaluate(model, [Pope()], split="test", limit=18)


def test_strop_eval_asks_pope_and_tells_what_each_profile_leaves_unread(data: Path, strop: Strop, tiny: Path) -> None:
    words = ("eval", "--model", tiny, "--device", "cpu", "--tasks", "pope", "--limit", 18, "--out", "out")
    found = " ".join(strop(*words, "--data", data).out.split())
    assert "pope, profile official, split test" in found
    assert "unread of 18 answers: 0 by official," in found
    assert (
        strop("rescore", "out", "--data", data, "--profile", "strct").error().startswith("pope has no profile 'strct'")
    )
    again = json.loads(strop("rescore", "out", "--data", data, "--json").out)
    assert [one["profile"] for one in again] == ["official", "lmms-eval", "vlmeval", "strict"]
    assert len({one["info"]["read_differently"] for one in again}) == 1
    missing = strop(*words[:-4], "--limit", 19, "--out", "other", "--data", data).error()
    assert missing.endswith("COCO_val2014_000000210789.jpg: no such picture")


def test_a_picture_lies_where_its_name_or_its_annotations_say(empty: Path) -> None:
    for folder in ("pope/val2014", "pope/train2014", "chair/val2017", "pope/train2017"):
        (empty / folder).mkdir(parents=True)
    (empty / "pope/train2017/7.jpg").touch()
    both = ["instances_val2017.json", "instances_train2017.json"]
    for name, named_by, folder in (
        ("COCO_val2014_7.jpg", [], "pope/val2014"),
        ("COCO_train2014_7.jpg", both, "pope/train2014"),
        ("8.jpg", both[:1], "chair/val2017"),
        ("7.jpg", both, "pope/train2017"),
        ("7.jpg", ["instances_mine.json"], "pope/val2014"),
    ):
        assert coco_picture("ic", name, named_by) == empty / folder / name


# CHAIR ----------------------------------------------------------------------------------------------------------------


def test_chair_describes_operas_500_with_popes_pictures(data: Path, conformance: Path) -> None:
    samples = Chair().samples("test")
    assert samples[0].images == (data / "pope/val2014/COCO_val2014_000000226988.jpg",)
    assert {one.prompt for one in samples} == {"Please describe this image in detail."}
    published = chair_answers.load_answers(
        conformance / "chair/opera/llava-1.5/greedy.jsonl", conformance / "chair/ground_truth_maxlinn.json.gz"
    )
    assert [(one.id, one.target) for one in samples] == [(one.id, one.target) for one in published.samples]


def test_operas_own_captions_say_which_images_too(data: Path, conformance: Path) -> None:
    ids = [one.id for one in Chair().samples("test")]
    (data / "chair/opera_image_ids.json").unlink()
    shutil.copy(conformance / "chair/opera/llava-1.5/greedy.jsonl", data / "chair")
    assert [one.id for one in Chair().samples("test")] == ids


def test_captions_that_are_asked_for_score_as_published_ones_do(data: Path, conformance: Path) -> None:
    rows = [json.loads(line) for line in (conformance / "chair/opera/llava-1.5/greedy.jsonl").read_text().splitlines()]
    said = {str(row["image_id"]): row["caption"] for row in rows}
    task = Chair()
    marked = [mark(one, said[one.id], task.score(one, said[one.id])) for one in task.samples("test")]
    found = estimate(marked, task.metrics, draws=1)
    assert round(found["CHAIRs"].value or 0, 3) == 0.450
    assert round(found["CHAIRi"].value or 0, 4) == 0.1273
    info = task.details(task.samples("test")).info
    assert (task.profile, info["normaliser"], info["images_of_truth"]) == ("official", "nltk", 123_287)


def test_chair_without_nltks_data_is_read_by_lemminflect_and_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "missing_data", lambda: ["wordnet"])
    normalisers.cache_clear()
    try:
        found = _asked(lambda _: "A cat and two dogs.", Chair(), 1)
        assert (found.profile, found.info["normaliser"]) == ("lemminflect", "lemminflect")
        assert list(Chair().profiles) == ["lemminflect"]
        assert [one["name"] for one in found.rows[0].parsed] == ["cat", "dog"]
    finally:
        normalisers.cache_clear()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"image_ids": [1, "2"]}, "field 'image_ids' must be a list of integers"),
        ({"image_ids": [1, 1]}, "image ids are given twice: 1"),
        ({"image_ids": [1]}, "holds 1 image ids, but the protocol has 2"),
        ({"caption": "a cat"}, "field 'image_id' is missing"),
    ],
)
def test_malformed_ids_are_one_line(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "ids.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        chair_questions.load_image_ids(path, 2)


def test_several_truths_are_for_the_user_to_choose_from(data: Path, conformance: Path) -> None:
    shutil.copy(conformance / "chair/ground_truth_areebol.json.gz", data / "chair")
    with pytest.raises(DataError, match=r"holds several: ground_truth_areebol.*keep one there"):
        Chair().samples("test")


# ScienceQA and MathVista ----------------------------------------------------------------------------------------------


def test_scienceqa_asks_4241_questions_2017_with_a_picture(data: Path) -> None:
    samples = ScienceQa().samples("test")
    assert (len(samples), sum(bool(one.images) for one in samples)) == (4241, 2017)
    there = [one.images[0] for one in samples if one.images and Path(str(one.images[0])).exists()]
    assert len(there) == 200
    assert {open_picture(one).mode for one in there[:20]} == {"RGB"}


def test_scienceqa_img_is_the_part_with_a_picture_marked_alike(data: Path) -> None:
    whole, part = ScienceQa(), ScienceQaImg()
    samples = part.samples("test")
    assert samples == [one for one in whole.samples("test") if one.images]
    found = _asked(lambda _: "A", part, 40)
    marks = [whole.score(one, "A").value for one in samples[:40]]
    assert [row.value for row in found.rows] == marks
    assert part.headline in {metric.name for metric in found.metrics}


def test_text_only_questions_are_asked_without_a_picture(data: Path) -> None:
    found = _asked(lambda one: "B" if not one.images else "The answer is A.", ScienceQa(), 2)
    assert [(row.answer, row.parsed) for row in found.rows] == [("B", "B"), ("The answer is A.", "A")]
    assert found.info["unread_by_profile"] == {"official": 0, "lmms-eval": 1, "vlmeval": 0, "strict": 0}
    assert "image/accuracy" in {metric.name for metric in found.metrics}


def test_subjects_and_grades_are_cells_where_the_file_names_them(data: Path) -> None:
    names = {metric.name for metric in ScienceQa().details(ScienceQa().samples("test")).metrics}
    assert "subject/natural science/accuracy" not in names
    problem = {"question": "Q?", "choices": ["a", "b"], "answer": 1, "hint": "", "image": None, "split": "test",
               "grade": "grade3", "subject": "natural science"}  # fmt: skip
    (data / "scienceqa/problems.json").write_text(json.dumps({"1": problem}))
    (data / "scienceqa/llava_test_CQM-A.json").unlink()
    (data / "scienceqa/pid_splits.json").unlink()
    with pytest.raises(DataError, match=r"problems\.json gives 1 question, 0 of them .* has 4241 and 2017; get the"):
        ScienceQa().samples("test")


def test_mathvista_asks_the_authors_prompts_with_the_hint_first(data: Path) -> None:
    samples = MathVista().samples("test")
    assert len(samples) == 1000
    assert all(one.prompt.startswith("Hint: ") for one in samples)
    assert samples[0].images == (data / "mathvista/images/1.jpg",)
    names = {metric.name for metric in MathVista().details(samples).metrics}
    assert {"accuracy", "unread", "grade/college/accuracy", "skills/logical reasoning/unread"} <= names


def test_mathvista_asked_of_a_model_is_read_from_its_responses(data: Path) -> None:
    """The authors' rule reads what a language model took out, and here there is none: it would read nothing."""
    task = MathVista()
    samples = task.samples("test")[:20]
    assert [task.score(one, f"So the answer is {one.target.answer}.").value for one in samples] == [1] * 20
    assert (task.profile, list(task.profiles)) == ("strict", ["lmms-eval/rules", "vlmeval/rules", "strict"])
    with pytest.raises(UsageError, match="mathvista has no profile 'official'; it has lmms-eval/rules, vlmeval/rules"):
        remark(yes_no([1], task="mathvista"), task, samples, "official")


def test_a_prompt_that_is_missing_is_named(data: Path) -> None:
    (data / "mathvista/query.json").unlink()
    (data / "mathvista/query.json").write_text('{"1": "Hint: ..."}')
    with pytest.raises(DataError, match=r"query\.json: field '2' is missing"):
        MathVista().samples("test")


def test_a_short_testmini_is_refused_by_the_file_to_get(data: Path, conformance: Path) -> None:
    whole = json.loads((conformance / "mathvista/testmini.json").read_text())
    (data / "mathvista/testmini.json").unlink()
    (data / "mathvista/testmini.json").write_text(json.dumps(dict(list(whole.items())[:10])))
    with pytest.raises(DataError, match=r"holds 10 questions, .* testmini has 1000 and 540; get the whole"):
        MathVista().samples("test")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"pid": "2"', '"pid": 2.5', r"pid 2: field 'pid' must be an integer or a string, found 2\.5"),
        ('"question_type": "free_form"', '"question_type": "essay"', "'question_type' must be one of multi_choice"),
        ('"answer": "1.2",', "", "pid 1: field 'answer' is missing"),
        ("{", '{"1": {},', "the key '1' is given twice in one object"),
        ('"1": {', '"1" {', "not valid JSON"),
    ],
)
def test_malformed_questions_of_mathvista_are_one_line(data: Path, old: str, new: str, message: str) -> None:
    path = data / "mathvista/testmini.json"
    content = path.read_text(encoding="utf-8")
    path.unlink()
    assert old in content
    path.write_text(content.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(StropError, match=message) as found:
        mathvista.load_questions(path)
    assert "\n" not in str(found.value)


# IC -------------------------------------------------------------------------------------------------------------------


def test_a_chosen_set_is_asked_with_cocos_pictures_and_marked_as_published_captions_are(
    data: Path, tmp_path: Path
) -> None:
    scenes = [compose(seed) for seed in seeds_of("test", 60)]
    write_json(tmp_path / "coco/instances_test.json", coco.instances(scenes))
    write_ic(data / "ic", ic_from_coco(tmp_path / "coco", 20, 1))
    for scene in scenes:
        draw(scene).save(data / f"pope/val2014/{scene.id}.png")
    samples = Ic().samples("test")
    found = check(Ic(), samples)
    assert (found.failures, found.counts["pictures"]) == ((), 20)
    assert samples[0].images == (data / "pope/val2014" / samples[0].meta["file_name"],)
    assert samples[0].prompt == chair_questions.PROMPT
    captions = {one.id: f"There are two {next(iter(one.target))}s." for one in samples}
    rows = [{"image_id": int(image), "caption": caption} for image, caption in captions.items()]
    write_jsonl(tmp_path / "captions.jsonl", rows)
    tables = object_words.load_tables(data / "chair")
    published = ic_answers.load_answers(tmp_path / "captions.jsonl", data / "ic", tables)
    said = {one.images: captions[one.id] for one in samples}
    ours = _asked(lambda one: said[one.images], Ic(), 20)
    assert [row.counts for row in ours.rows] == [
        ic.score_ic(object_words.normalise(answer), one.target, tables).counts
        for one, answer in zip(published.samples, published.answers, strict=True)
    ]
    assert ours.info["ids"] == published.info["ids"]

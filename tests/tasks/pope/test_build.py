"""POPE's questions follow the authors' definitions, which the published files are held to first."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from harness.check import check
from harness.errors import DataError, UsageError
from harness.files import write_json, write_jsonl
from strop.commands.data import data_app
from tasks.data.presence import Presence, most_frequent, presence
from tasks.data.root import DataRoot
from tasks.pictos import coco
from tasks.pictos.world import compose, draw, seeds_of
from tasks.pope.answers import load_answers
from tasks.pope.build import EACH, GROUPS, PopeQuestion, draw_questions, questions_from_coco, write_questions
from tasks.pope.marks import score_pope
from tasks.pope.questions import object_asked_for
from tasks.pope.task import Pope
from tasks.reading.readers import YES_NO_PROFILES
from tests.support.annotated import annotate

Pictures = Mapping[str, Collection[str]]
Drawn = Mapping[str, Sequence[PopeQuestion]]


def _by_image(questions: Drawn) -> dict[str, dict[str, list[PopeQuestion]]]:
    """image -> group -> its questions, in order."""
    results: dict[str, dict[str, list[PopeQuestion]]] = defaultdict(lambda: defaultdict(list))
    for group, rows in questions.items():
        for row in rows:
            results[row.image][group].append(row)
    return results


def _objects(rows: Sequence[PopeQuestion], label: str) -> list[str]:
    return [row.object for row in rows if row.label == label]


def _is_popular(negatives: Sequence[str], absent: Collection[str], counted: Presence) -> bool:
    """Whether none of the absent objects is in more pictures than those asked for; ties are free."""
    counts = sorted((counted.alone[name] for name in absent), reverse=True)
    return sorted((counted.alone[name] for name in negatives), reverse=True) == counts[: len(negatives)]


def _is_adversarial(texts: Sequence[str], negatives: Sequence[str], absent: Collection[str], counted: Presence) -> bool:
    """Whether each negative is the one most often seen with its object, of those not asked for yet; ties are free."""
    taken: set[str] = set()
    for name, negative in zip(texts, negatives, strict=True):
        company = counted.together[name]
        most = max(company.get(other, 0) for other in absent if other not in taken)
        if company.get(negative, 0) != most:
            return False
        taken.add(negative)
    return True


def _check(questions: Drawn, pictures: Pictures) -> None:
    """What the published files have in common, of any others: balance, truth, and the three kinds of negatives."""
    images = _by_image(questions)
    counted = presence(pictures[image] for image in images)
    assert tuple(questions) == GROUPS
    for image, groups in images.items():
        present, absent = set(pictures[image]), set(counted.alone) - set(pictures[image])
        assert len({tuple(_objects(rows, "yes")) for rows in groups.values()}) == 1, "the groups share what is there"
        for rows in groups.values():
            assert [row.label for row in rows] == ["yes", "no"] * EACH
            assert len({row.object for row in rows}) == 2 * EACH
            assert set(_objects(rows, "yes")) <= present
            assert set(_objects(rows, "no")) <= absent
        assert _is_popular(_objects(groups["popular"], "no"), absent, counted)
        names, negatives = (_objects(groups["adversarial"], label) for label in ("yes", "no"))
        assert _is_adversarial(names, negatives, absent, counted)


# The published files --------------------------------------------------------------------------------------------------


def _published(conformance: Path) -> Drawn:
    return {group: list(_read(conformance / f"pope/labels_3000/coco_pope_{group}.json")) for group in GROUPS}


def _read(path: Path) -> list[PopeQuestion]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        PopeQuestion(image=row["image"], object=object_asked_for(row["text"]) or "", label=row["label"]) for row in rows
    ]


@pytest.fixture(scope="module")
def truth(conformance: Path) -> dict[str, frozenset[str]]:
    """The objects of all images of COCO 2014, by the names that POPE's files give the images."""
    document = json.loads(gzip.decompress((conformance / "chair/ground_truth_maxlinn.json.gz").read_bytes()))
    names = document["categories"]
    return {
        f"COCO_val2014_{int(image):012}.jpg": frozenset(names[index] for index in indices)
        for image, indices in document["images"].items()
    }


def test_the_published_questions_follow_these_definitions(conformance: Path, truth: dict[str, frozenset[str]]) -> None:
    published = _published(conformance)
    assert [len(rows) for rows in published.values()] == [3000] * 3
    assert len(_by_image(published)) == 500
    _check(published, truth)


def test_the_published_popular_negatives_are_ours_to_the_letter(
    conformance: Path, truth: dict[str, frozenset[str]]
) -> None:
    images = _by_image(_published(conformance))
    counted = presence(truth[image] for image in images)
    for image, groups in images.items():
        ours = most_frequent(set(counted.alone) - truth[image], counted.alone)[:EACH]
        assert set(_objects(groups["popular"], "no")) == set(ours)


def test_questions_drawn_from_cocos_truth_are_like_the_published(
    conformance: Path, truth: dict[str, frozenset[str]]
) -> None:
    published = _by_image(_published(conformance))
    for pictures in (truth, {image: truth[image] for image in published}):
        questions = draw_questions(pictures, 500, np.random.default_rng(0))
        assert [len(rows) for rows in questions.values()] == [3000] * 3
        assert [sum(row.label == "yes" for row in rows) for rows in questions.values()] == [1500] * 3
        assert len(_by_image(questions)) == 500
        _check(questions, pictures)
    assert set(_by_image(questions)) == set(published), "500 of 500 are all of them"


# Any annotations ------------------------------------------------------------------------------------------------------


NAMES = "abcdefghijkl"
PICTURES = st.dictionaries(
    st.integers(0, 99).map(str), st.sets(st.sampled_from(NAMES), min_size=2, max_size=6), min_size=8, max_size=30
)


@given(PICTURES, st.integers(0, 2**32), st.integers(1, 8))
def test_any_annotations_give_questions_with_these_properties(pictures: Pictures, seed: int, images: int) -> None:
    try:
        questions = draw_questions(pictures, images, np.random.default_rng(seed))
    except DataError as error:
        assert "ask for" in str(error)
        return
    assert len(_by_image(questions)) == images
    _check(questions, pictures)
    backwards = {name: sorted(pictures[name], reverse=True) for name in reversed(list(pictures))}
    assert draw_questions(backwards, images, np.random.default_rng(seed)) == questions


def test_an_object_seen_with_nothing_else_has_some_negatives_all_the_same() -> None:
    pictures = {"1": {"a", "b", "c"}, "2": {"d", "e", "f"}}
    questions = draw_questions(pictures, 2, np.random.default_rng(0))
    for groups in _by_image(questions).values():
        assert len(set(_objects(groups["adversarial"], "no"))) == EACH


def test_another_seed_asks_something_else() -> None:
    pictures = {str(n): {"a", "b", "c", NAMES[3 + n % 9]} for n in range(40)}
    first, same, other = (draw_questions(pictures, 20, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == same != other


def test_too_few_images_are_counted_and_the_remedy_said() -> None:
    with pytest.raises(DataError, match=r"1 of 2 images have 3 objects or more and 5 were asked for; ask for 1 to 1"):
        draw_questions({"1": set("abc"), "2": set("ab")}, 5, np.random.default_rng(0))
    with pytest.raises(DataError, match=r"image 1 lacks only 0 of the 3 objects that occur in the chosen images"):
        draw_questions({"1": set("abc")}, 1, np.random.default_rng(0))


# Files and command ----------------------------------------------------------------------------------------------------


def _read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(data_app, ["build", "pope", *(str(argument) for argument in arguments)])


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Scenes of the embedded world in COCO's format."""
    write_json(tmp_path / "coco/instances_test.json", coco.instances([compose(n) for n in seeds_of("test", 300)]))
    return tmp_path / "coco"


def test_scenes_in_cocos_format_make_questions_that_score_pope_reads(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "pope"
    content = json.loads(_run("--coco", scenes, "--out", out, "--seed", 3, "--images", 50, "--json").stdout)
    assert content["questions"] == dict.fromkeys(GROUPS, 300)
    questions = {group: _read(out / f"coco_pope_{group}.json") for group in GROUPS}
    _check(questions, {f"pictos-{n}.png": set(compose(n).counts()) for n in seeds_of("test", 300)})
    rows = _read_rows(out / "llava_pope_test.jsonl")
    answers = tmp_path / "answers.jsonl"
    write_jsonl(answers, ({"question_id": row["question_id"], "text": "Yes"} for row in rows))
    answered = load_answers(answers, out / "llava_pope_test.jsonl", out)
    assert len(answered.samples) == 900
    assert answered.info["splits"]["random"]["label_rows_without_question"] == 0
    assert sum(sample.target == "yes" for sample in answered.samples) == 450
    for profile in YES_NO_PROFILES:
        assert all(score_pope(sample.target, sample.target, profile).value == 1.0 for sample in answered.samples)


def test_the_files_are_laid_out_as_the_published_ones(scenes: Path, conformance: Path, tmp_path: Path) -> None:
    _run("--coco", scenes, "--out", tmp_path / "pope", "--images", 50)
    for ours, theirs in [
        *((f"coco_pope_{group}.json", f"labels_3000/coco_pope_{group}.json") for group in GROUPS),
        ("llava_pope_test.jsonl", "llava_pope_test.jsonl"),
    ]:
        first, other = (
            [json.loads(line) for line in path.read_text().splitlines()]
            for path in (tmp_path / "pope" / ours, conformance / "pope" / theirs)
        )
        assert [list(row) for row in first[:50]] == [list(row) for row in other[:50]]
        assert [row["question_id"] for row in first[:300]] == [row["question_id"] for row in other[:300]]
        endings = [{row["text"].split("?")[1] for row in rows} for rows in (first, other)]
        assert endings[0] <= endings[1]


def test_the_same_command_writes_the_same_bytes_and_another_one_nothing(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "pope"
    assert (
        "300 random, 300 popular, 300 adversarial questions"
        in _run("--coco", scenes, "--out", out, "--images", 50).stdout
    )
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert _run("--coco", scenes, "--out", out, "--images", 50).exit_code == 0
    error = _run("--coco", scenes, "--out", out, "--images", 50, "--seed", 1).exception
    assert isinstance(error, UsageError)
    assert "holds other questions; name another folder or remove it" in str(error)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert json.loads(before["build.json"])["seed"] == 0


def test_questions_built_here_are_asked_in_their_own_number_and_say_so(scenes: Path, tmp_path: Path) -> None:
    task = Pope(data_root=DataRoot(folder=tmp_path))
    _run("--coco", scenes, "--out", tmp_path / "pope", "--images", 10, "--seed", 3)
    (tmp_path / "pope/val2014").mkdir()
    for number in seeds_of("test", 300):
        draw(compose(number)).save(tmp_path / f"pope/val2014/{compose(number).id}.png")
    samples = task.samples("test")
    report = check(task, samples)
    assert (report.failures, len(samples), report.counts["pictures"]) == ((), 180, 10)
    info = task.details(samples).info
    assert info["rows"] == dict.fromkeys(GROUPS, 60)
    assert info["built"].startswith("built by Strop, 10 images drawn with seed 3, ")
    answers = tmp_path / "answers.jsonl"
    rows = _read_rows(tmp_path / "pope/llava_pope_test.jsonl")
    write_jsonl(answers, ({"question_id": row["question_id"], "text": "Yes"} for row in rows))
    published = load_answers(answers, tmp_path / "pope/llava_pope_test.jsonl", tmp_path / "pope")
    assert published.info["built"] == info["built"]


def test_a_file_that_is_not_the_one_built_is_refused(scenes: Path, tmp_path: Path) -> None:
    task = Pope(data_root=DataRoot(folder=tmp_path))
    _run("--coco", scenes, "--out", tmp_path / "pope", "--images", 10)
    labels = tmp_path / "pope/coco_pope_popular.json"
    labels.write_text(labels.read_text().replace('"no"', '"yes"'))
    with pytest.raises(DataError, match=r"coco_pope_popular\.json is not the file that build\.json beside it tells of"):
        task.samples("test")
    (tmp_path / "pope/build.json").unlink()
    with pytest.raises(DataError, match=r"has 60 rows, but POPE's random questions are 3000 or 2910; get"):
        task.samples("test")


def test_vowels_take_an(tmp_path: Path) -> None:
    rows = [PopeQuestion(image="1.jpg", object=name, label="yes") for name in ("apple", "TV", "umbrella")]
    write_questions(tmp_path, dict.fromkeys(GROUPS, rows))
    lines = (tmp_path / "coco_pope_random.json").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == [
        "Is there an apple in the image?",
        "Is there a TV in the image?",
        "Is there an umbrella in the image?",
    ]


def test_two_images_of_one_file_name_are_refused(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["a", "b", "c"], 2: ["a"]})
    document: dict[str, Any] = json.loads((tmp_path / "instances_.json").read_text())
    document["images"][1]["file_name"] = "1.jpg"
    write_json(tmp_path / "instances_.json", document)
    with pytest.raises(DataError, match="2 images have 1 file names"):
        questions_from_coco(tmp_path, 1, 0)

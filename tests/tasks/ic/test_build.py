"""The IC set is chosen by its rule: the same from the same, balanced, tempting, and written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from typer.testing import CliRunner, Result

from harness.errors import DataError, UsageError
from harness.files import digest_of_file, write_folder, write_json
from strop.commands.data import data_app
from tasks.chair.answers import load_answers
from tasks.chair.marks import score_caption
from tasks.data.annotations import read_instances
from tasks.data.ids import ascending, ids_digest
from tasks.data.presence import presence
from tasks.ic.build import choose, is_eligible, temptation
from tasks.pictos import coco
from tasks.pictos.world import compose, seeds_of
from tasks.reading.object_words import PROFILES, load_tables
from tests.support import tempting
from tests.support.annotated import annotate

Pictures = Mapping[str, Collection[str]]

PICTURES = st.dictionaries(
    st.integers(0, 999).map(str), st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=6), min_size=1, max_size=40
)


def _eligible(pictures: Pictures) -> dict[str, set[str]]:
    return {image: set(names) for image, names in pictures.items() if len(set(names)) >= 3}


def _chosen(pictures: Pictures, size: int, seed: int = 0, **how: float) -> list[str]:
    return choose(pictures, size, np.random.default_rng(seed), **how)


# The choice -----------------------------------------------------------------------------------------------------------


@given(PICTURES, st.integers(0, 2**32), st.data())
def test_any_annotations_give_a_set_that_keeps_its_promises(pictures: Pictures, seed: int, data: st.DataObject) -> None:
    eligible = _eligible(pictures)
    if not eligible:
        return
    size = data.draw(st.integers(1, len(eligible)))
    ids = _chosen(pictures, size, seed)
    assert len(set(ids)) == len(ids) == size
    assert set(ids) <= set(eligible)
    backwards = {image: sorted(pictures[image], reverse=True) for image in reversed(list(pictures))}
    assert _chosen(backwards, size, seed) == ids, "the order of pictures and objects is none"
    counted = Counter(name for image in ids for name in eligible[image])
    possible = Counter(name for names in eligible.values() for name in names)
    assert all(counted[name] >= min(size // len(possible), count) for name, count in possible.items())


@given(PICTURES, st.integers(-1, 60))
def test_a_size_that_cannot_be_had_is_answered_with_what_can(pictures: Pictures, size: int) -> None:
    eligible = len(_eligible(pictures))
    if 0 < size <= eligible:
        assert len(_chosen(pictures, size)) == size
        return
    with pytest.raises(DataError) as error:
        _chosen(pictures, size)
    assert f"{eligible} of {len(pictures)} images are eligible" in str(error.value)
    assert f"{size} were asked for; ask for 1 to {eligible}" in str(error.value)


@given(PICTURES)
def test_temptation_is_a_probability_of_what_is_absent(pictures: Pictures) -> None:
    counted = presence(pictures.values())
    for present in pictures.values():
        tempting = temptation(present, counted)
        assert not set(tempting) & set(present)
        assert all(0 < value < 1 for value in tempting.values())
        assert list(tempting.values()) == sorted(tempting.values(), reverse=True)


def test_temptation_is_the_mean_over_what_is_there() -> None:
    counted = presence([{"fork", "knife", "cup"}, {"fork", "cup"}, {"fork", "table"}, {"knife"}])
    assert temptation({"fork", "knife"}, counted) == {"cup": (2 / 3 + 1 / 2) / 2, "table": (1 / 3) / 2}


def test_of_two_alike_the_picture_that_lacks_more_is_chosen() -> None:
    usual = {f"usual {n}": {"fork", "knife", "cup", "table"} for n in range(8)}
    pictures = {**usual, "lacks cup": {"fork", "knife", "table"}, "odd": {"kite", "bird", "dog"}}
    assert _chosen({**usual, "lacks cup": pictures["lacks cup"]}, 1) == ["lacks cup"]
    assert set(_chosen(pictures, 2)) == {"lacks cup", "odd"}, "the odd one is there for balance"


def test_without_temptation_any_picture_of_a_category_is_chosen_for_balance() -> None:
    usual = {f"usual {n}": {"fork", "knife", "cup", "table"} for n in range(3)}
    pictures = {**usual, "lacks cup": {"fork", "knife", "table"}, "odd": {"kite", "bird", "dog"}}
    sets = [set(_chosen(pictures, 3, seed, top=1.0)) for seed in range(50)]
    assert set.union(*sets) == set(pictures)
    assert all("odd" in item for item in sets)


def test_what_goes_at_equal_size_is_the_share_of_size() -> None:
    """Every scene of three is named half right, every one of four wholly: only their mixture differs."""
    sizes, all_alike, mostly_three = np.array([3, 3, 4]), np.array([[1.0, 1.0, 1.0]]), np.array([[3.0, 0.0, 1.0]])
    counts = np.array([[1, 2, 3, 0, 1], [1, 2, 3, 0, 1], [4, 4, 4, 0, 1]], dtype=float)
    assert tempting.at_equal_size(all_alike, mostly_three, sizes).tolist() == [[1.5, 1.5, 1.0]]
    precision = [
        tempting.figures(weights, counts)["precision"].tolist()
        for weights in (all_alike, mostly_three, tempting.at_equal_size(all_alike, mostly_three, sizes))
    ]
    assert precision == [[6 / 8], [7 / 10], [7 / 10]]


def test_a_common_object_does_not_crowd_out_the_rare_ones() -> None:
    common = {str(n): {"person", "chair", "table", "cup"} - {["chair", "table", "cup"][n % 3]} for n in range(90)}
    common = {image: {*names, "bottle"} for image, names in common.items()}
    rare = {f"rare {n}": {"kite", "bird", f"thing {n}"} for n in range(5)}
    ids = _chosen({**common, **rare}, 20)
    assert set(rare) <= set(ids)


def test_another_seed_draws_another_set_from_many_pictures() -> None:
    pictures = {str(n): compose(seed).counts() for n, seed in enumerate(seeds_of("test", 400))}
    first, same, other = (set(_chosen(pictures, 50, seed)) for seed in (1, 1, 2))
    assert first == same != other


def test_ids_are_in_the_order_of_their_numbers() -> None:
    assert ascending(["100", "9", "25"]) == ["9", "25", "100"]
    assert ids_digest(["25", "9"]) == hashlib.sha256(b"9\n25\n").hexdigest()


def test_tempting_pictures_mislead_a_real_model(conformance: Path) -> None:
    """LLaVA-1.5's captions of 500 COCO pictures: what the score promises, on words that it has never seen."""
    tables = load_tables(conformance / "chair")
    truth = conformance / "chair/ground_truth_maxlinn.json.gz"
    answered = load_answers(conformance / "chair/opera/llava-1.5/greedy.jsonl", truth, tables=tables)
    words = PROFILES["lemminflect"].words
    objects = {sample.id: sample.target for sample in answered.samples}
    captions = dict(zip(objects, answered.answers, strict=True))
    counted = presence(objects.values())
    score = {
        image: math.fsum(temptation(names, counted).values()) for image, names in objects.items() if is_eligible(names)
    }
    ranked = sorted(score, key=lambda image: -score[image])
    marks = {image: score_caption(words(captions[image]), objects[image], tables).counts for image in ranked}

    def precision(images: list[str]) -> float:
        return sum(marks[i]["recalled"] for i in images) / sum(marks[i]["distinct_named"] for i in images)

    three = [image for image in ranked if len(objects[image]) == 3]
    halves = three[: len(three) // 2], three[len(three) // 2 :]
    wrong = [marks[image]["distinct_named"] - marks[image]["recalled"] for image in ranked]
    assert len(ranked) == 265
    assert [round(100 * precision(several), 1) for several in (ranked[:100], ranked[-100:], ranked)] == [
        71.7,
        84.0,
        77.2,
    ]
    assert [round(100 * precision(halve), 1) for halve in halves] == [69.2, 79.3], "nor is it only that they hold less"
    assert round(spearmanr([score[image] for image in ranked], wrong).statistic, 2) == 0.30


# Counts in annotations ------------------------------------------------------------------------------------------------


def test_what_is_outlined_one_by_one_is_counted_and_crowds_are_not(tmp_path: Path) -> None:
    annotate(tmp_path, {1: ["dog", "dog", "person"], 2: []})
    document = json.loads((tmp_path / "instances_.json").read_text())
    document["annotations"][2]["iscrowd"] = 1
    write_json(tmp_path / "instances_.json", document)
    instances = read_instances(tmp_path)
    assert (instances["1"].objects, instances["1"].counts) == ({"dog", "person"}, {"dog": 2})
    assert (instances["2"].objects, instances["2"].counts) == (set(), {})


def test_what_two_files_share_is_counted_once(tmp_path: Path) -> None:
    for year in ("2014", "2017"):
        annotate(tmp_path, {1: ["dog", "dog"]}, name=year)
    assert read_instances(tmp_path)["1"].counts == {"dog": 2}


# Files and command ----------------------------------------------------------------------------------------------------


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(data_app, ["build", "ic", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of the embedded world in COCO's format."""
    folder = tmp_path_factory.mktemp("coco")
    write_json(folder / "instances_test.json", coco.instances([compose(n) for n in seeds_of("test", 300)]))
    return folder


def test_scenes_in_cocos_format_make_a_set_that_says_what_is_in_it(scenes: Path, tmp_path: Path) -> None:
    content = json.loads(_run("--coco", scenes, "--size", 50, "--seed", 3, "--out", tmp_path / "ic", "--json").stdout)
    assert sorted(path.name for path in (tmp_path / "ic").iterdir()) == ["README.md", "ids.json", "truth.json"]
    named: dict[str, Any] = json.loads((tmp_path / "ic/ids.json").read_text())
    truth: dict[str, Any] = json.loads((tmp_path / "ic/truth.json").read_text())
    assert (named["seed"], named["digest"], len(named["ids"])) == (3, content["digest"], 50)
    assert named["digest"] == hashlib.sha256("".join(f"{image}\n" for image in named["ids"]).encode()).hexdigest()
    assert list(truth["images"]) == named["ids"]
    for image, value in truth["images"].items():
        scene = compose(int(image))
        assert value["counts"] == scene.counts()
        assert value["objects"] == sorted(scene.counts())
        assert value["file_name"] == f"{scene.id}.png"
        assert len(value["tempting"]) == 5
        assert not set(value["tempting"]) & set(value["objects"])


def test_the_card_says_how_it_was_made_and_whose_the_pictures_are(scenes: Path, tmp_path: Path) -> None:
    _run("--coco", scenes, "--size", 50, "--seed", 3, "--out", tmp_path / "ic")
    card = (tmp_path / "ic/README.md").read_text()
    truth = json.loads((tmp_path / "ic/truth.json").read_text())["images"]
    eligible = [compose(n).counts() for n in seeds_of("test", 300) if len(compose(n).counts()) >= 3]
    assert "`strop data build ic --size 50 --seed 3`" in card
    assert f"| instances_test.json | {digest_of_file(scenes / 'instances_test.json')} |" in card
    assert f"300 images are annotated, {len(eligible)} of them eligible" in card
    assert digest_of_file(tmp_path / "ic/truth.json") in card
    assert "stay their owners'" in card
    people = (
        sum("person" in item for item in several) for several in ([t["objects"] for t in truth.values()], eligible)
    )
    assert "| person | {} | {} |".format(*people) in card


def test_a_category_with_markup_in_its_name_stays_text(tmp_path: Path) -> None:
    annotate(tmp_path / "coco", {1: ["<img src=x>", "a|b", "c"]})
    assert _run("--coco", tmp_path / "coco", "--size", 1, "--out", tmp_path / "ic").exit_code == 0
    card = (tmp_path / "ic/README.md").read_text()
    assert "| &lt;img src=x> | 1 | 1 |" in card
    assert "| a\\|b | 1 | 1 |" in card


def test_the_same_command_changes_nothing_and_another_one_is_refused(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "ic"
    assert ", written to " in _run("--coco", scenes, "--size", 50, "--out", out).stdout
    (out / "synonyms.json").write_text("{}")  # what scoring wants beside the truth
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
    assert ", unchanged in " in _run("--coco", scenes, "--size", 50, "--out", out).stdout
    error = _run("--coco", scenes, "--size", 50, "--seed", 1, "--out", out).exception
    assert isinstance(error, UsageError)
    assert str(error) == f"{out.resolve()}/ids.json is there and is not this one; name another folder, or move it away"
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()} == before


def test_a_set_may_be_put_beside_its_pictures(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "ic/val2014").mkdir(parents=True)
    assert ", written to " in _run("--coco", scenes, "--size", 50, "--out", tmp_path / "ic").stdout
    assert {path.name for path in (tmp_path / "ic").iterdir()} == {"README.md", "ids.json", "truth.json", "val2014"}


def test_too_large_a_set_leaves_nothing_behind(scenes: Path, tmp_path: Path) -> None:
    error = _run("--coco", scenes, "--size", 301, "--out", tmp_path / "new/ic").exception
    assert isinstance(error, DataError)
    assert "of 300 images are eligible" in str(error)
    assert list(tmp_path.iterdir()) == []


# A folder that is there whole or not at all ---------------------------------------------------------------------------


def test_files_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "b.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"b\.txt is there and is not this one"):
        write_folder(folder, {"a.txt": "a", "b.txt": "b"})
    assert [path.name for path in folder.iterdir()] == ["b.txt"]
    assert write_folder(folder, {"a.txt": "a"})
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.txt": "a", "b.txt": "mine"}
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_fails_half_way_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: str) -> None:
        if path.name == "b.txt":
            raise OSError(28, "No space left on device")
        path.write_text(content)

    monkeypatch.setattr("harness.files.write_text", full)
    with pytest.raises(DataError, match=r"out cannot be written \(No space left on device\); make room, or name"):
        write_folder(tmp_path / "out", {"a.txt": "a", "b.txt": "b"})
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled_and_a_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert write_folder(tmp_path / "out", {"a.txt": "ä"})
    assert (tmp_path / "out/a.txt").read_text(encoding="utf-8") == "ä"
    assert not write_folder(tmp_path / "out", {"a.txt": "ä"})
    with pytest.raises(UsageError, match="is a file; name a folder"):
        write_folder(tmp_path / "out/a.txt", {})

"""A loop collects on pictures of the user's own, which need no right answers, and on nothing that it is measured on."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from harness.errors import DataError, RecipeError, StropError, UsageError
from harness.files import read_jsonl
from harness.pictures import open_picture
from leaderboards.build import build_board
from loops.recipe import load_recipe
from strop.commands.board import find_pool
from strop.running import setting
from tasks.data.pools import PROMPT, world_slot
from tasks.data.root import DataRoot
from tasks.pictos.benchmarks import caption_samples
from tasks.registry import training_pool
from tests.support.recipes import JUDGE_FREE
from tests.support.shell import Strop


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten pictures of coloured noise."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number in range(10):
        colours = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        name = f"more/{number}.PNG" if number > 6 else f"{number}.png"
        Image.fromarray(colours).save(folder / name, "PNG")
    (folder / "notes.txt").write_text("no picture")
    return folder


# A world's pool -------------------------------------------------------------------------------------------------------


def test_no_two_rounds_of_any_training_seeds_share_a_place_however_many_there_are() -> None:
    places = [world_slot(seed, number) for seed in range(40) for number in range(1, 41)]
    assert len(set(places)) == len(places)
    assert min(places) == 0


def test_the_first_nine_rounds_lie_where_they_always_lay() -> None:
    for seed, number in itertools.product(range(30), range(1, 10)):
        assert world_slot(seed, number) == seed * 10 + number - 1
    assert [world_slot(0, number) for number in (9, 10, 11, 12)] == [8, 9, 29, 59]


def test_the_eleventh_round_of_a_run_is_not_the_first_of_the_next_training_seed() -> None:
    pool = training_pool("pictos_captions")
    parts = {
        (seed, number): {sample.id for sample in pool.of_round(seed=seed, number=number, count=5)}
        for seed in (0, 1, 2)
        for number in (1, 2, 10, 11, 12)
    }
    assert all(len(piece) == 5 for piece in parts.values())
    assert len(set().union(*parts.values())) == 5 * len(parts)


def test_a_run_of_more_rounds_than_the_worlds_pool_has_room_for_is_told() -> None:
    pool = training_pool("pictos_captions")
    pool.require(seed=0, rounds=12, count=2_000)
    with pytest.raises(RecipeError, match="seed 40: the training pool of pictos_captions ends before its pictures"):
        pool.require(seed=40, rounds=12, count=2_000)


# Pictures of one's own ------------------------------------------------------------------------------------------------


def _coco(pictures: Path) -> str:
    """As COCO lies: annotations in a folder of their own, pictures in the folder of the part."""
    folder = pictures.parent / "coco"
    shutil.copytree(pictures, folder / "val2014")
    names = sorted(str(path.relative_to(pictures)) for path in pictures.rglob("*.[pP]*"))
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    (folder / "annotations").mkdir()
    (folder / "annotations/instances_val2014.json").write_text(json.dumps({"images": images}))
    return f"coco:{folder}/annotations/instances_val2014.json"


def _lines(pictures: Path, prompt: str | None = None) -> list[dict[str, str]]:
    names = sorted(str(path.relative_to(pictures)) for path in pictures.rglob("*.[pP]*"))
    return [{"image": name, **({"prompt": prompt} if prompt else {})} for name in names]


def _list(pictures: Path) -> str:
    (pictures / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _lines(pictures)))
    return f"list:{pictures}/pool.jsonl"


def _json_list(pictures: Path) -> str:
    (pictures / "pool.json").write_text(json.dumps(_lines(pictures), indent=1))
    return f"list:{pictures}/pool.json"


def _parquet(pictures: Path) -> str:
    import datasets

    folder = pictures.parent / "hub" / "data"
    folder.mkdir(parents=True)
    content = [{"bytes": (pictures / row["image"]).read_bytes(), "path": None} for row in _lines(pictures)]
    features = datasets.Features({"image": datasets.Image(), "note": datasets.Value("string")})
    table = datasets.Dataset.from_dict({"image": content, "note": ["x"] * len(content)}, features=features)
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    return f"hub:{folder.parent}"


SOURCES: dict[str, Callable[[Path], str]] = {
    "folder": lambda pictures: f"folder:{pictures}",
    "coco": _coco,
    "list": _list,
    "json list": _json_list,
    "hub": _parquet,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    yield


@pytest.mark.parametrize("kind", SOURCES)
def test_a_pool_is_the_same_pictures_however_they_are_named(kind: str, pictures: Path) -> None:
    folder, pool = training_pool(f"folder:{pictures}"), training_pool(SOURCES[kind](pictures))
    assert (pool.identity, pool.has_gold) == (folder.identity, False)
    piece = pool.of_round(seed=0, number=1, count=10)
    assert [item.id for item in piece] == [item.id for item in folder.of_round(seed=0, number=1, count=10)]
    assert {(item.prompt, item.target) for item in piece} == {(PROMPT, None)}
    drawn = {np.asarray(open_picture(*item.images)).tobytes() for item in piece}
    assert drawn == {
        np.random.default_rng(n).integers(0, 256, (24, 32, 3), dtype=np.uint8).tobytes() for n in range(10)
    }


def test_rounds_of_a_training_seed_share_no_picture_and_seeds_have_orders_of_their_own(pictures: Path) -> None:
    pool = training_pool(f"folder:{pictures}")
    first, second = ([item.id for item in pool.of_round(seed=0, number=number, count=5)] for number in (1, 2))
    assert len({*first, *second}) == 10
    other = [item.id for number in (1, 2) for item in pool.of_round(seed=1, number=number, count=5)]
    assert sorted(other) == sorted([*first, *second]) != other != [*first, *second]


def test_ids_follow_content_and_not_names_and_twins_are_taken_once(pictures: Path, tmp_path: Path) -> None:
    before = training_pool(f"folder:{pictures}").identity
    moved = tmp_path / "moved"
    shutil.move(pictures, moved)
    (moved / "0.png").rename(moved / "zero.png")
    shutil.copy(moved / "1.png", moved / "twin.png")
    assert training_pool(f"folder:{moved}").identity == before
    (moved / "1.png").unlink()
    (moved / "twin.png").unlink()
    assert training_pool(f"folder:{moved}").identity != before


def test_a_prompt_comes_from_the_list_else_from_the_recipe(pictures: Path) -> None:
    rows = [*_lines(pictures, "What is this?"), {"image": "0.png", "prompt": "And this?"}]
    (pictures / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes = [f"source=list:{pictures}/pool.jsonl", "collect.samples=11"]
    for prompt, text in ((None, {"What is this?", "And this?"}), ("Name it.", {"Name it."})):
        recipe = load_recipe(JUDGE_FREE, [*changes, f"collect.prompt={prompt or 'null'}"])
        piece = recipe.study(setting(DataRoot())).samples(1)
        assert (len(piece), {item.prompt for item in piece}) == (11, text)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (
            "foldr:x",
            UsageError,
            r"^source foldr:x: expected folder:PATH, coco:PATH, list:PATH, hub:PATH or a task's name",
        ),
        ("folder:", UsageError, r"^source folder:: expected folder:PATH"),
        ("folder:no", DataError, r"^no: no such folder of pictures$"),
        ("folder:empty", DataError, r"^source folder:empty: no pictures in it; they end in \.bmp"),
        ("coco:no.json", DataError, r"^no\.json: no such file"),
        ("coco:list.json", DataError, r"^list\.json: not COCO annotations: no list under 'images'$"),
        (
            "coco:coco.json",
            DataError,
            r"^coco\.json: its picture a\.png lies neither beside it nor in images or coco th",
        ),
        ("list:rows.jsonl", DataError, r"^rows\.jsonl:1: no such picture as a\.png"),
        ("list:text.jsonl", DataError, r"^text\.jsonl:1: field 'image' is missing"),
        ("list:list.json", DataError, r"^list\.json: \[0\]: expected an object, found int"),
        ("hub:no", DataError, r"^no: no such folder; download the data set first"),
        ("hub:empty", DataError, r"^empty: does not load as a data set of the hub"),
    ],
)
def test_a_pool_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, error: type[StropError], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "coco.json").write_text('{"images": [{"file_name": "a.png"}]}')
    (tmp_path / "rows.jsonl").write_text('{"image": "a.png"}\n')
    (tmp_path / "text.jsonl").write_text('{"text": "a.png"}\n')
    with pytest.raises(error, match=message) as caught:
        training_pool(source)
    assert "\n" not in str(caught.value)


# Runs -----------------------------------------------------------------------------------------------------------------

TASKS_WITH_POOLS = """
from dataclasses import dataclass
from functools import partial
from PIL import Image
from harness.types import Metric, Sample, Score

def grey(number, target=None):
    picture = partial(Image.new, "RGB", (16, 16), (number, number, number))
    return Sample(id=str(number), prompt="Describe it.", images=(picture,), target=target, cluster=str(number))

@dataclass(frozen=True, kw_only=True)
class Greys:
    name: str = "greys"
    version: int = 1
    headline: str = "value"
    max_tokens: int = 8
    metrics: tuple = (Metric(name="value", terms={"value": 1}, over={"asked": 1}),)
    first: int = 100

    def samples(self, split):
        return [grey(number, "x") for number in range(6)]

    def pool(self):
        return [grey(number) for number in range(self.first, self.first + 8)]

    def score(self, sample, answer):
        return Score(value=0.0, parsed=answer or None, counts={"value": 0, "asked": 1})

    def gold(self, sample):
        return "x"

TASKS = {"greys": Greys, "leaky": lambda: Greys(name="leaky", first=4)}
"""


@pytest.fixture
def hone(strop: Strop, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """`strop run` of two small rounds of the tiny model, with these changes."""
    (tmp_path / "my_tasks").mkdir()
    (tmp_path / "my_tasks/greys.py").write_text(TASKS_WITH_POOLS)
    for name in ("STROP_PLUGIN_PATH", "STROP_DATA"):
        monkeypatch.setenv(name, "")  # the command sets it for its process
    (tmp_path / "small.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "small",
                "model": str(tiny),
                "rounds": 2,
                "collect": {"samples": 5, "temperature": 1.5, "max_tokens": 12, "unfinished": "keep",
                            "max_unfinished": 1},
                "optimise": {"trl": {"per_device_train_batch_size": 4, "learning_rate": 1e-3}},
                "evaluate": {"limit": 6, "tasks": ["pictos_captions"]},
            }
        )
    )  # fmt: skip

    def run(*changes: str, more: tuple[str, ...] = ()) -> object:
        sets = [word for change in changes for word in ("--set", change)]
        return strop("run", "small.yaml", "--out", "out", "--plugin-path", "my_tasks", *sets, *more)

    return run


@pytest.mark.slow
def test_a_model_is_honed_on_a_folder_of_ten_pictures(hone: Callable[..., object], pictures: Path) -> None:
    out = pictures.parent / "out"
    changes = ("source=folder:pictures", "collect.prompt=What is in it?", "verify.aggregate=mean")
    ran = hone(*changes)
    assert ran.code == 0, ran.err  # type: ignore[attr-defined]
    rounds = [list(read_jsonl(out / f"round-{number}/collect/groups.jsonl")) for number in (1, 2)]
    ids = [[row["id"] for row in rows] for rows in rounds]
    assert sorted(itertools.chain(*ids)) == sorted(
        item.id for item in training_pool(f"folder:{pictures}").of_round(seed=0, number=1, count=10)
    )
    assert {row["prompt"] for rows in rounds for row in rows} == {"What is in it?"}
    ledger = {line["stage"]: line for line in read_jsonl(out / "ledger.jsonl")}
    assert ledger["round-1/collect"]["facts"]["unfinished"] == sum(
        "unfinished" in note for row in rounds[0] for note in row["notes"]
    )
    assert (out / "round-2/optimise/checkpoint/model.safetensors").is_file()
    with pytest.raises(DataError, match=r"^source folder:pictures has no right answers to hold the verdicts against$"):
        find_pool(DataRoot(), out, 1)
    build_board([out], out / "board")
    assert "L3, encoder trained on this world's gold" in (out / "board/board.csv").read_text()

    again = hone(*changes)
    assert "is finished already; nothing was done" in again.out  # type: ignore[attr-defined]
    shutil.move(pictures, pictures.parent / "elsewhere")
    gone = hone(*changes)
    assert gone.error().endswith("pictures: no such folder of pictures")  # type: ignore[attr-defined]


@pytest.mark.slow
def test_an_encoder_of_another_world_is_not_believed_about_the_users_pictures(
    hone: Callable[..., object], pictures: Path
) -> None:
    error = hone("source=folder:pictures").error()  # type: ignore[attr-defined]
    assert error.startswith("verify.aggregate sum: ")


@pytest.mark.slow
def test_a_plug_in_task_may_offer_a_pool(hone: Callable[..., object], tmp_path: Path) -> None:
    ran = hone("source=greys", "evaluate.tasks=[greys]", "rounds=1", "verify.kind=random")
    assert ran.code == 0, ran.err  # type: ignore[attr-defined]
    rows = list(read_jsonl(tmp_path / "out/round-1/collect/groups.jsonl"))
    assert len({row["id"] for row in rows}) == 5
    assert {int(row["id"]) for row in rows} <= set(range(100, 108))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["source=folder:pictures", "rounds=3"],
         "source folder:pictures: 10 pictures are too few for 3 rounds of 5, each picture in one; lower "
         "collect.samples (3 fit) or rounds"),
        (["source=folder:pictures", "verify.kind=oracle"],
         "verify.kind oracle: source folder:pictures has no right answers to judge by; take clip, or a task's pool"),
        (["source=greys", "rounds=1", "verify.kind=oracle"],
         "verify.kind oracle: source greys has no right answers to judge by; take clip, or a task's pool"),
        (["source=leaky", "rounds=1", "collect.samples=8", "evaluate.tasks=[greys]"],
         "source leaky: 2 of its pictures are test pictures of greys (4, 5); take them out, do not measure on "
         "it, or allow it by allow_overlap=[greys]"),
        (["source=greys", "rounds=1", "evaluate.tasks=[pope_]"], "no task is called 'pope_'; there are "),
    ],
)  # fmt: skip
def test_a_pool_that_does_not_fit_is_told_before_anything_is_done(
    hone: Callable[..., object], pictures: Path, changes: list[str], message: str
) -> None:
    assert hone(*changes).error().startswith(message)  # type: ignore[attr-defined]
    assert not (pictures.parent / "out").exists()


def test_a_picture_that_is_measured_on_is_found_by_its_content_under_any_name_and_format(
    hone: Callable[..., object], pictures: Path
) -> None:
    (scene,) = caption_samples("test", 1, start=3)
    open_picture(*scene.images).save(pictures / "holiday.webp", lossless=True)
    error = hone("source=folder:pictures", "collect.samples=11", "rounds=1").error()  # type: ignore[attr-defined]
    assert error == (
        "source folder:pictures: 1 of its pictures are test pictures of pictos_captions (holiday.webp); take them out, "
        "do not measure on it, or allow it by allow_overlap=[pictos_captions]"
    )


def test_an_overlap_that_is_allowed_by_name_is_told(hone: Callable[..., object]) -> None:
    leaky = ("source=leaky", "rounds=1", "collect.samples=8", "verify.kind=random", "evaluate.tasks=[greys]")
    checked = hone(*leaky, "allow_overlap=[greys]", more=("--check",))
    line = "pictures: 8 pictures, 2 of them test pictures of greys, as allow_overlap allows (4, 5)"
    assert line in checked.out  # type: ignore[attr-defined]

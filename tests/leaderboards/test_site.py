"""Claims about the site's files: links resolve, nothing is left over, text stays text, marks are those of the rows."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DataError, UsageError
from harness.stats import difference, pooled_difference
from harness.stats.areas import roc
from harness.types import Sample
from leaderboards.ablation import ablate
from leaderboards.beside import Published
from leaderboards.build import build_board
from leaderboards.render import Cell
from leaderboards.reported import read_tables
from leaderboards.site import samples as browser
from leaderboards.site.cells import judged, shown
from leaderboards.site.folder import site_folder, slug, visible
from leaderboards.site.samples import Questions, parts
from leaderboards.site.verifiers import try_verifier
from strop import app as command_line
from strop.commands.board import find_asked
from tasks.data.root import DataRoot
from tasks.registry import all_yardsticks, find_task
from tests.support.sites import Quiz, answered, data_of, make_site, sample, small_run
from tests.support.worlds import YES_NO, captions, write_folder, write_run, yes_no

pytestmark = pytest.mark.slow

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202egnp.exe\x00"


class Page(HTMLParser):
    """What a page refers to, and all its elements."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.references: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.references += [str(value) for name, value in attrs if name in ("href", "src", "srcset")]


def pages(site: Path) -> dict[str, Page]:
    return {path.name: Page(path) for path in site.glob("*.html")}


def flags_of(site: Path, name: str, round_: str) -> dict[str, int]:
    index, samples = data_of(site, name)
    return {sample["id"]: flag for sample, flag in zip(samples, index["flags"][round_], strict=True)}


def test_a_difference_is_judged_by_its_p_where_nothing_corrects_it() -> None:
    """Four pictures of 200 that differ give an interval without zero, and a p of 0.125."""
    marks = [int(index >= 4) for index in range(200)]
    change = difference(yes_no(marks).rows, yes_no([1] * 200).rows, YES_NO)["accuracy"]
    assert change.low is not None and change.low > 0
    assert judged(Cell(metric=YES_NO[0], estimate=None, difference=change)) is None


def test_every_link_leads_to_a_file_and_every_file_is_linked(tmp_path: Path) -> None:
    (tmp_path / "grid").mkdir()
    runs = [small_run(tmp_path / "grid" / "a", recipe={"verify": "coin"}), write_folder(tmp_path / "c", yes_no([1, 0]))]
    judged = tmp_path / "grid" / "a" / "round-1" / "verify" / "groups.jsonl"
    judged.parent.mkdir(parents=True)
    judged.write_text("", encoding="utf-8")
    cell = {"name": "a", "label": {"setting": "a"}, "varied": "", "rounds": 1}
    grid = {"name": "toy", "baseline": None, "show": [],
            "cells": [{**cell, "runs": [{"seed": 0, "folder": "a", "state": "done", "why": ""}]}]}  # fmt: skip
    (tmp_path / "grid" / "grid.json").write_text(json.dumps(grid), encoding="utf-8")
    site = make_site(tmp_path / "site", runs, ablations=[ablate(tmp_path / "grid", draws=50)])
    referred = {"index.html"}
    for page in pages(site).values():
        referred |= {reference for reference in page.references if not reference.startswith("#")}
    for folder in (site / "data").iterdir():
        index, samples = data_of(site, folder.name)
        referred |= {f"{index['folder']}{number}.js" for number in range(-(-len(samples) // index["page"]))}
        referred |= {picture[0] for sample in samples for picture in sample["pictures"]}
    assert referred == {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert "ablation-01-toy.html" in referred and "verifiers.html" in referred


def test_every_page_forbids_all_but_its_own_files(tmp_path: Path) -> None:
    for page in pages(make_site(tmp_path / "site", [small_run(tmp_path / "run")])).values():
        (policy,) = [
            str(attributes["content"])
            for _, attributes in page.elements
            if attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';")
        assert "unsafe" not in policy
        assert not [
            name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
        ]
        assert not [reference for reference in page.references if re.match(r"[a-z]+:|//", reference)]


def test_what_anything_is_called_is_text_and_never_markup(tmp_path: Path) -> None:
    plain = make_site(tmp_path / "plain", [small_run(tmp_path / "run")])
    recipe = {"name": EVIL, "verify": EVIL, "level": EVIL, "model": EVIL}
    evil = make_site(tmp_path / "evil", [small_run(tmp_path / "evil-run", model=EVIL, recipe=recipe)])
    shapes = [
        Counter(tag for page in pages(site).values() for tag, _ in page.elements if tag != "option")
        for site in (plain, evil)
    ]
    assert shapes[0] == shapes[1]
    text = (evil / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "⟨U+202E⟩gnp.exe⟨U+0000⟩" in text
    for drawing in (evil / "charts").iterdir():
        assert "<script" not in drawing.read_text(encoding="utf-8")
    assert {path.name for path in evil.glob("run-*")} == {"run-01-script-alert-1-script-img-src-x-onerror.html"}


def test_an_answer_is_text_with_what_cannot_be_seen_written_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[answered("No")], [answered(EVIL + "\n")]])
    _, (sample,) = data_of(make_site(tmp_path / "site", [run]), "01-honed-1")
    (piece,) = sample["answers"]["1"]["parts"]
    assert piece == [EVIL.replace("\u202e", "⟨U+202E⟩").replace("\x00", "⟨U+0000⟩") + "\n", ""]


def test_marks_of_a_round_are_those_of_its_rows(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site", [small_run(tmp_path / "run")])
    changed, fixed, broken, wrong = browser.CHANGED, browser.FIXED, browser.BROKEN, browser.WRONG
    assert flags_of(site, "01-honed-1", "1") == {
        "q0": 0,
        "q1": changed | fixed,
        "q2": changed | broken | wrong,
        "q3": changed | wrong | browser.DISAGREE | browser.UNREAD,
    }
    assert flags_of(site, "01-honed-1", "0") == {"q0": 0, "q1": wrong, "q2": 0, "q3": wrong}
    _, samples = data_of(site, "01-honed-1")
    assert samples[3]["answers"]["1"]["profiles"] == {"strict": "unread", "loose": "yes"}
    assert (samples[1]["prompt"], samples[1]["gold"]) == ("Is there a cat?", "yes")


def test_a_wrong_object_is_marked_in_the_answer(tmp_path: Path) -> None:
    _, samples = data_of(make_site(tmp_path / "site", [small_run(tmp_path / "run")]), "01-honed-2")
    assert samples[1]["answers"]["1"]["named"] == [["cup", 1], ["car", 0]]
    assert parts("A Knife, two hot dogs; dogs.", [("dog", False), ("knife", True), ("hot dog", True)]) == [
        ("A ", ""), ("Knife", "right"), (", two ", ""), ("hot dogs", "right"), ("; ", ""), ("dogs", "wrong"), (".", ""),
    ]  # fmt: skip
    assert parts("Carts and scars.", [("car", False)]) == [("Carts and scars.", "")]
    assert parts("Two knives.", [("knife", False)])[1] == ("knives", "wrong")


@given(st.text(), st.lists(st.tuples(st.text(min_size=1), st.booleans())))
def test_the_parts_of_an_answer_join_to_the_answer(answer: str, named: list[tuple[str, bool]]) -> None:
    pieces = parts(answer, named)
    assert "".join(text for text, _ in pieces) == answer
    assert all(text for text, _ in pieces)


@given(st.text())
def test_visible_text_can_be_written_and_is_not_changed_again(text: str) -> None:
    once = visible(text)
    assert visible(once) == once
    once.encode("utf-8")


def test_samples_that_are_left_out_are_counted(tmp_path: Path) -> None:
    rounds = [[answered(*["Yes"] * 50)], [answered(*["Yes"] * 48, "No", "No")]]
    site = make_site(tmp_path / "site", [write_run(tmp_path / "run", rounds)], rest=10)
    assert list(flags_of(site, "01-honed-1", "1")) == [*(f"q{number}" for number in range(10)), "q48", "q49"]
    page = (site / "samples-01-honed-1.html").read_text(encoding="utf-8")
    assert "12 of 50 samples are here" in page
    assert "the first 10 others; 38 are left out" in page


def test_data_come_a_page_at_a_time(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[answered(*["Yes"] * 45)]])
    site = make_site(tmp_path / "site", [run])
    assert {path.name for path in (site / "data" / "01-honed-1").iterdir()} == {"index.js", "0.js", "1.js", "2.js"}


def test_a_picture_is_written_once(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site", [write_run(tmp_path / "run", [[answered(*["Yes"] * 9)]])])
    assert len(list((site / "pictures").iterdir())) == 3  # nine questions, three colours
    _, samples = data_of(site, "01-honed-1")
    assert samples[0]["pictures"] == samples[3]["pictures"] != samples[1]["pictures"]
    with Image.open(site / samples[1]["pictures"][0][0]) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (0, 128, 0)


def test_a_picture_that_does_not_open_is_said_and_stops_nothing(tmp_path: Path) -> None:
    def find(name: str, version: int, split: str) -> Questions:
        broken = Sample(id="q0", prompt="?", images=(tmp_path / "gone.png",), target="yes", cluster="q0")
        return Questions(task=Quiz(), samples={"q0": broken})

    site = make_site(tmp_path / "site", [write_run(tmp_path / "run", [[answered("Yes")]])], find_task=find)
    assert data_of(site, "01-honed-1")[1][0]["pictures"] == [None]


def test_a_large_picture_is_shown_smaller(tmp_path: Path) -> None:
    def find(name: str, version: int, split: str) -> Questions:
        large = Sample(
            id="q0", prompt="?", images=(partial(Image.new, "RGB", (1280, 800)),), target="yes", cluster="q0"
        )
        return Questions(task=Quiz(), samples={"q0": large})

    site = make_site(tmp_path / "site", [write_run(tmp_path / "run", [[answered("Yes")]])], find_task=find)
    ((src, width, height),) = data_of(site, "01-honed-1")[1][0]["pictures"]
    assert (width, height, src[-5:]) == (640, 400, ".webp")


def test_without_a_tasks_data_the_answers_are_shown_and_the_page_says_what_is_missing(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site", [small_run(tmp_path / "run")])
    assert "chair: its pictures are in a drawer" in (site / "samples-01-honed-2.html").read_text(encoding="utf-8")
    _, samples = data_of(site, "01-honed-2")
    assert (samples[0]["pictures"], samples[0]["prompt"], samples[0]["gold"]) == ([], None, None)
    assert samples[0]["answers"]["0"]["parts"] == [["cat", "right"], [" !", ""], ["dog", "wrong"]]


def test_answers_to_other_questions_than_those_at_hand_are_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no([1, 1], first=59, profile="strict")]])
    page = make_site(tmp_path / "site", [run]) / "samples-01-honed-1.html"
    assert "1 of these 2 samples are not among the questions of quiz at hand" in page.read_text(encoding="utf-8")


def test_a_sample_that_a_round_was_not_asked_is_in_its_place(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[answered("Yes", "No")], [answered("Yes")]])
    site = make_site(tmp_path / "site", [run])
    assert list(data_of(site, "01-honed-1")[1][1]["answers"]) == ["0"]
    assert flags_of(site, "01-honed-1", "1")["q1"] == 0


def test_the_front_table_can_be_sorted_by_what_the_board_says(tmp_path: Path) -> None:
    runs = [small_run(tmp_path / str(seed), recipe={"seed": seed}) for seed in (0, 1)]
    site = make_site(tmp_path / "site", runs)
    page = pages(site)["index.html"]
    rows = [attributes for tag, attributes in page.elements if tag == "tr" and "data-verifier" in attributes]
    assert len(rows) == 5  # two runs of two rounds, and their mean
    assert {row["data-level"] for row in rows} == {"L3"}
    values = [
        attributes["data-value"] for tag, attributes in page.elements if tag == "td" and "data-value" in attributes
    ]
    columns = [attributes for tag, attributes in page.elements if tag == "th" and "data-task" in attributes]
    accuracy = next(column for column, attributes in enumerate(columns) if attributes["data-task"] == "quiz")
    assert values[accuracy :: len(columns)] == ["0.500000", "0.500000", "0.500000", "0.500000", "0.500000"]


def test_a_verdict_needs_an_interval_without_zero_and_a_corrected_p(tmp_path: Path) -> None:
    before, after = yes_no([1, 0] * 30), yes_no([1, 1, 1, 0] * 15)
    site = make_site(tmp_path / "site", [write_run(tmp_path / "run", [[before], [after], [before]])])
    page = (site / "run-01-honed.html").read_text(encoding="utf-8")
    assert re.findall(r'<span class="delta (\w+)">Δ (\S+)', page)[:2] == [("better", "+25.0"), ("unclear", "0.0")]


def test_a_folder_that_is_no_site_is_never_replaced(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(UsageError, match="is no site of Strop's; name another folder"):
        make_site(mine, [run])
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_a_site_replaces_an_earlier_one_whole_and_only_when_it_is_done(tmp_path: Path) -> None:
    run, out = small_run(tmp_path / "run"), tmp_path / "site"
    make_site(out, [run])
    (out / "left-over.html").write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), site_folder(out) as folder:
        folder.text("index.html", "half")
        raise RuntimeError("the power went out")
    assert (out / "left-over.html").exists()
    make_site(out, [run])
    assert not (out / "left-over.html").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"run", "site"}


def test_a_files_name_is_plain_whatever_something_is_called() -> None:
    assert slug(3, "../Étude <b> №1") == "03-tude-b-1"
    assert slug(3, "猫") == "03"


def test_published_figures_stand_beside_measured_ones_of_the_same_benchmark(tmp_path: Path) -> None:
    truth = {"images_of_truth": 40_504}
    measured = replace(captions("cat !dog", "cup"), info=truth)
    site = make_site(
        tmp_path / "site",
        [write_folder(tmp_path / "mine", measured)],
        published=Published(figures=read_tables(), yardsticks=all_yardsticks()),
    )
    page = pages(site)["published.html"]
    (drawn,) = [
        attributes["alt"] for tag, attributes in page.elements if tag == "img" and "CHAIRi" in str(attributes["alt"])
    ]
    assert "mine: 33.3 measured; " in str(drawn)
    assert "SIMA, LLaVA-1.5-7B, after: 10.4 published" in str(drawn)
    assert "POPE <small>" in (site / "published.html").read_text(encoding="utf-8")


def test_a_board_of_other_benchmarks_says_that_nothing_was_published_on_them(tmp_path: Path) -> None:
    site = make_site(
        tmp_path / "site",
        [write_folder(tmp_path / "mine", yes_no([1, 0]))],
        published=Published(figures=read_tables(), yardsticks=all_yardsticks()),
    )
    assert "No published figures beside this board: none are on quiz" in (site / "published.html").read_text()


def test_the_command_writes_a_site_and_no_board_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = small_run(tmp_path / "run")
    monkeypatch.setattr("sys.argv", ["strop", "board", str(run), "--site", "site"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert not ended.value.code
    assert {path.name for path in tmp_path.iterdir()} == {"run", "site"}
    assert "no task is called" in (tmp_path / "site" / "samples-01-honed-1.html").read_text(encoding="utf-8")


def test_questions_of_another_version_are_not_shown_as_those_asked() -> None:
    task = find_task("pictos_captions")
    with pytest.raises(DataError, match="was asked as version 99 and is version"):
        find_asked(DataRoot(), task.name, 99, "test")


def test_a_board_without_published_figures_leaves_none_of_an_earlier_one(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    build_board([run], tmp_path / "out", Published(figures=read_tables(), yardsticks=all_yardsticks()))
    assert (tmp_path / "out" / "reported.csv").exists()
    build_board([run], tmp_path / "out")
    assert not (tmp_path / "out" / "reported.csv").exists()


# Verifiers ------------------------------------------------------------------------------------------------------------


def _groups(path: Path, *groups: tuple[list[str], list[float | None]]) -> Path:
    lines = [
        {"id": f"q{number}", "prompt": "?", "answers": answers, "notes": [],
         "verdicts": [{"reward": reward, "why": ""} for reward in rewards]}
        for number, (answers, rewards) in enumerate(groups)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


QUESTIONS = Questions(task=Quiz(), samples={f"q{number}": sample(f"q{number}") for number in range(9)})


def test_a_verifier_is_held_against_the_marks_of_the_task(tmp_path: Path) -> None:
    path = _groups(
        tmp_path / "groups.jsonl",
        (["Yes", "No"], [3.0, 1.0]),
        (["No", "Yes"], [0.0, 1.0]),
        (["Yes", "No"], [1.0, 5.0]),
        (["Yes", "Yes"], [1.0, 0.0]),
        (["Yes", "No"], [None, 1.0]),
    )
    trial = try_verifier(path, QUESTIONS)
    assert (trial.groups, trial.pairs, trial.told_apart) == (5, 4, 3)
    assert trial.gap is not None and trial.worth is not None and trial.roc is not None
    assert trial.gap.value == pytest.approx((2 + 1 + 4 + 1) / 4)
    assert trial.worth.value == pytest.approx((1 + 1 - 1 + 0) / 4)
    assert trial.roc.area.value == pytest.approx(4 / 9)  # of 3 x 3 ordered pairs
    assert (trial.roc.x[0], trial.roc.y[0], trial.roc.x[-1], trial.roc.y[-1]) == (0, 0, 1, 1)


def test_a_verifier_without_opinions_has_no_curve(tmp_path: Path) -> None:
    trial = try_verifier(_groups(tmp_path / "groups.jsonl", (["Yes", "No"], [None, None])), QUESTIONS)
    assert (trial.pairs, trial.roc, trial.gap, trial.worth) == (0, None, None, None)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_the_area_is_the_chance_that_a_better_answer_has_the_higher_reward(pairs: list[tuple[int, bool]]) -> None:
    gaps = np.array([gap for gap, _ in pairs], dtype=float)
    better = np.array([flag for _, flag in pairs])
    curve = roc(gaps, better, np.arange(len(pairs)))
    up = np.where(better, gaps, -gaps)  # reward of the better answer minus that of the worse
    brute = np.mean([(gap > -other) + 0.5 * (gap == -other) for gap in up for other in up])
    assert curve.area.value == pytest.approx(brute)
    assert np.all(np.diff(curve.x) >= 0) and np.all(np.diff(curve.y) >= 0)


def test_the_interval_of_the_area_covers_it() -> None:
    """1,000 draws of 200 pictures with two pairs each: the true area of these normals is in 93 to 97 of 100."""
    rng = np.random.default_rng(0)
    truth = 0.7602499  # of two differences drawn from N(0.5, 1): the chance that their sum is positive
    hits = 0
    for _ in range(1_000):
        groups = np.repeat(np.arange(200), 2)
        better = rng.random(400) < 0.5
        gaps = np.where(better, 1, -1) * rng.normal(0.5, 1, 400)
        area = roc(gaps, better, groups).area
        assert area.low is not None and area.high is not None
        hits += area.low <= truth <= area.high
    assert 930 <= hits <= 970


def test_a_pooled_figure_has_its_runs_and_their_ratio_beside_it() -> None:
    before, ends = yes_no([1, 0] * 30), ([1, 1, 1, 0] * 15, [1] * 60, [1, 0] * 30)
    pooled = pooled_difference([(before.rows, yes_no(end).rows) for end in ends], YES_NO)["accuracy"]
    figure = shown(Cell(metric=YES_NO[0], estimate=None, difference=pooled, holm=pooled.p, testable=False))
    assert figure.delta_fixed.endswith(f"}} 3 runs, ratio {pooled.ratio:.1f}")
    assert (figure.p, figure.verdict) == ("0.25, not testable", "unclear")

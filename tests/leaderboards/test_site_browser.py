"""Claims about the site in a real browser: what a reader can do, and what a hostile answer cannot.

Skipped where Playwright or Chromium is missing. STROP_SCREENSHOTS names a folder that keeps the pictures taken.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from strop.app import app
from tests.support.sites import answered, find_quiz, make_site, small_run
from tests.support.worlds import captions, write_run, yes_no

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (on Debian: apt-get install chromium)"),
]

DESKTOP, PHONE = {"width": 1300, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # as root in a container Chromium's own sandbox cannot start
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a real run: the shipped models, one short round that changes many captions."""
    folder = tmp_path_factory.mktemp("real")
    changes = {
        "rounds": 1, "collect.samples": 24, "select.margin": 0, "evaluate.limit": 40,
        "optimise.trl.learning_rate": 2e-4, "optimise.trl.per_device_train_batch_size": 8,
    }  # fmt: skip
    words = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    for command in (
        ["run", "judge_free", "--out", folder / "run", *words],
        ["board", folder / "run", "--site", folder / "site", "--samples", "30"],
    ):
        ended = CliRunner().invoke(app, list(map(str, command)), catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
    return folder / "site"


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("STROP_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def from_disk(site: Path) -> Iterator[str]:
    yield site.as_uri()


@contextmanager
def from_a_host(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


LEFT = "net::ERR_ABORTED"
"""What a request fails with whose page was left before the answer came; a missing file fails in other ways."""


@contextmanager
def reader(browser: Any, origin: str, **options: Any) -> Iterator[Any]:
    """A page on which nothing may go wrong: no error, no word on the console, no request that leaves the site."""
    faults: list[str] = []
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    page = context.new_page()
    page.on("console", lambda message: faults.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("popup", lambda other: faults.append(f"popup: {other.url}"))
    page.on("requestfailed", lambda request: request.failure == LEFT or faults.append(f"failed: {request.url}"))
    page.on("request", lambda item: item.url.startswith(origin + "/") or faults.append(f"left the site: {item.url}"))
    page.on("response", lambda answer: answer.status < 400 or faults.append(f"{answer.status}: {answer.url}"))
    yield page
    context.close()
    assert faults == []


def column(page: Any, number: int) -> list[str]:
    """What a column of the front table shows, from the top."""
    cells = page.locator(f"table.board tbody tr:not([hidden]) > :nth-child({number})")
    return [text.split()[0] if text.split() else "" for text in cells.all_inner_texts()]


def test_the_front_table_is_sorted_and_filtered_exactly(browser: Any, tmp_path: Path) -> None:
    marks = {"a": [1, 0, 0, 0], "b": [1, 1, 1, 0], "c": [1, 1, 0, 0]}
    runs = [
        write_run(
            tmp_path / name, [[yes_no(several)]], recipe={"name": name, "level": level, "model": f"family {level}"}
        )
        for (name, several), level in zip(marks.items(), ("L3", "L0", "L3"), strict=True)
    ]
    runs.append(write_run(tmp_path / "d", [[captions("cat")]], recipe={"name": "d", "verify": "coin"}))
    site = make_site(tmp_path / "site", runs)
    with reader(browser, site.as_uri()) as page:
        page.goto((site / "index.html").as_uri())
        assert column(page, 1) == ["a", "b", "c", "d"]
        by_value = page.get_by_role("columnheader", name="quiz accuracy").get_by_role("button", name="value")
        by_value.click()
        assert column(page, 1) == ["b", "c", "a", "d"]  # what has no figure comes last, whichever way
        by_value.click()
        assert column(page, 1) == ["a", "c", "b", "d"]
        page.get_by_role("combobox", name="Level").select_option("L3")
        assert column(page, 1) == ["a", "c", "d"]
        page.get_by_role("combobox", name="Verifier").select_option("coin")
        assert column(page, 1) == ["d"]
        page.get_by_role("combobox", name="Task").select_option("quiz")
        assert page.get_by_role("columnheader", name="chair").count() == 0
        page.get_by_role("button", name="Reset").click()
        assert column(page, 1) == ["a", "b", "c", "d"]
        page.get_by_role("combobox", name="Family").select_option("family L0")
        assert column(page, 1) == ["b"]


@pytest.mark.parametrize("served", [from_disk, from_a_host])
def test_a_reader_sorts_filters_and_finds_an_answer_that_changed(
    browser: Any, site: Path, served: Callable[[Path], Any], screenshots: Path
) -> None:
    with served(site) as origin, reader(browser, origin) as page:
        page.goto(f"{origin}/index.html")
        page.screenshot(path=screenshots / "board.png", full_page=True)
        chair = page.locator("th[data-task='pictos_chair'][data-headline]")
        position = 1 + chair.evaluate("head => head.cellIndex")
        chair.get_by_role("button", name="value").click()
        falling = [float(text) for text in column(page, position)]
        assert falling == sorted(falling, reverse=True) and chair.get_attribute("aria-sort") == "descending"
        page.get_by_role("combobox", name="Level").select_option("L3, encoder trained on this world's gold")
        assert page.get_by_text("2 of 2 checkpoints").is_visible()
        assert page.get_by_role("columnheader", name="CHAIRs").count() == 0
        page.get_by_role("combobox", name="Task").select_option("pictos_chair")
        assert page.get_by_role("columnheader", name="CHAIRs").count() == 1
        assert page.get_by_role("columnheader", name="pictos_pope").count() == 0
        page.reload()
        assert page.get_by_role("combobox", name="Task").input_value() == "pictos_chair"

        page.get_by_role("link", name="judge-free").first.click()
        assert page.get_by_role("heading", name="judge-free, seed 0").is_visible()
        page.screenshot(path=screenshots / "run.png", full_page=True)
        page.get_by_role("link", name="samples").nth(1).click()
        page.get_by_role("button", name="fixed").click()
        sample = page.locator("article.sample").first
        sample.locator("img").wait_for()
        page.screenshot(path=screenshots / "samples.png", full_page=True)
        assert sample.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
        texts = sample.locator("blockquote").all_inner_texts()
        assert len(texts) == 2 and texts[0] != texts[1] and all(texts)
        marks = [float(text.split()[1]) for text in sample.locator("h3 .mark").all_inner_texts()]
        assert marks[0] < marks[1]
        assert sample.locator("mark.wrong").count() + sample.locator(".named .wrong").count() > 0
        assert sample.get_by_text("Please describe this image in detail.").is_visible()


def test_every_page_fits_a_phone_and_follows_the_dark(browser: Any, site: Path, screenshots: Path) -> None:
    for scheme in ("light", "dark"):
        with reader(browser, site.as_uri(), viewport=PHONE, color_scheme=scheme) as page:
            for path in sorted(site.glob("*.html")):
                page.goto(path.as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path.name
                drawn = page.locator("figure img").evaluate_all("images => images.map(one => one.currentSrc)")
                assert all(picture.endswith("-dark.svg") == (scheme == "dark") for picture in drawn), path.name
                if scheme == "light":  # what is asked for late is the same in both
                    page.wait_for_load_state("networkidle")
                page.screenshot(path=screenshots / f"phone-{scheme}-{path.stem}.png", full_page=True)


def test_the_front_page_works_by_keyboard_alone(browser: Any, site: Path) -> None:
    with reader(browser, site.as_uri()) as page:
        page.goto((site / "index.html").as_uri())
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.by === 'delta'"):
                break
        page.keyboard.press("Enter")
        assert page.locator("th[aria-sort='descending'] button.on").inner_text().startswith("Δ")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_printed_page_has_its_table_whole_and_no_buttons(browser: Any, site: Path) -> None:
    with reader(browser, site.as_uri()) as page:
        page.goto((site / "index.html").as_uri())
        page.emulate_media(media="print")
        assert page.locator(".filters").is_hidden()
        assert page.locator(".tall").evaluate("one => one.scrollHeight <= one.clientHeight")


HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror='window.hacked = 3'><svg onload='window.hacked = 4'>",
    "<a href='javascript:window.hacked = 5'>click me</a> javascript:window.hacked=6",
    "]);window.hacked = 7;strop.samples(0, [",
    "\u202egnp.egap\u202c \u2066hidden\u2069",
    "<iframe src='https://example.com/'></iframe><meta http-equiv=refresh content='0;url=https://example.com/'>",
    "${window.hacked = 8} {{ 7 * 7 }} <style>body { display: none }</style>",
    "\u2028window.hacked = 9\u2029",
)


@pytest.mark.parametrize("served", [from_disk, from_a_host])
def test_hostile_answers_and_names_do_nothing(browser: Any, tmp_path: Path, served: Callable[[Path], Any]) -> None:
    name = "".join(HOSTILE)
    recipe = {"name": name, "model": name, "level": name, "verify": name}
    run = write_run(tmp_path / "run", [[answered(*["Yes"] * 9)], [answered(*HOSTILE)]], model=name, recipe=recipe)
    site = make_site(tmp_path / "site", [run], find_task=find_quiz)
    with served(site) as origin, reader(browser, origin) as page:
        for path in sorted(site.glob("*.html")):
            page.goto(f"{origin}/{path.name}")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("window.hacked") is None
        page.goto(f"{origin}/samples-01-{next(site.glob('samples-*')).stem[11:]}.html")
        page.locator("article.sample").first.wait_for()
        shown = page.locator("article.sample .answer:nth-child(2) blockquote").all_inner_texts()
        assert shown[:5] == list(HOSTILE[:5])
        assert shown[5] == "⟨U+202E⟩gnp.egap⟨U+202C⟩ ⟨U+2066⟩hidden⟨U+2069⟩"
        assert page.locator("article a, article script, article iframe, article svg, article style").count() == 0
        assert page.evaluate("window.hacked") is None
        assert page.locator("h1").is_visible()


def test_a_link_with_nonsense_in_its_hash_still_opens(browser: Any, tmp_path: Path) -> None:
    site = make_site(tmp_path / "site", [small_run(tmp_path / "run")])
    with reader(browser, site.as_uri()) as page:
        for address in (
            "index.html#sort=99.%22%5D.up&task=%3Cscript%3E&level=",
            "samples-01-honed-1.html#round=__proto__&show=constructor&page=-7",
        ):
            page.goto(f"{site.as_uri()}/{address}")
            page.wait_for_load_state("networkidle")
        page.locator("article.sample").first.wait_for()
        assert page.locator("article.sample").count() == 3  # what changed, of four

"""README and docs name what exists, and every command that they show can be given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from loops.grid import load_grid
from strop.app import app
from tests.support.pages import PAGES, ROOT, blocks, read_page, strop_commands, without_code

HOSTS = (("pypi", "org"), ("pytorch", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("huggingface", "co"))
ROOMS = ("strop", "harness", "tasks", "loops", "leaderboards", "tests", "docs")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_a_page_begins_with_its_title(page: Path) -> None:
    first, second = page.read_text(encoding="utf-8").splitlines()[:2]
    assert re.fullmatch(r"# \S.*", first)
    assert second == ""


@every_page
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8")))
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@every_page
def test_every_path_in_backticks_exists(page: Path) -> None:
    quoted = re.findall(r"`([^`\n]+)`", without_code(page.read_text(encoding="utf-8")))
    paths = [words for words in quoted if re.fullmatch(rf"(?:{'|'.join(ROOMS)})/[\w./*-]*", words)]
    assert [path for path in paths if not any(ROOT.glob(path.rstrip("/")))] == []


@every_page
def test_every_command_shown_parses(page: Path) -> None:
    for words in strop_commands(page.read_text(encoding="utf-8")):
        command = typer.main.get_command(app)
        rest = list(words)
        while hasattr(command, "get_command"):
            name = rest.pop(0)
            command = command.get_command(typer.Context(command), name)
            assert command is not None, words
        command.make_context(words[0], rest).close()


def test_readme_is_at_most_130_lines_and_the_changelog_ten() -> None:
    assert len(read_page("README.md").splitlines()) <= 130
    assert len(re.findall(r"^- ", read_page("CHANGELOG.md"), re.MULTILINE)) <= 10


def test_every_page_of_docs_is_listed() -> None:
    for folder in (ROOT / "docs", ROOT / "docs/log"):
        listed = re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
        assert set(listed) == {page.name for page in folder.glob("*.md")} - {"README.md"}


def test_a_page_of_docs_shows_its_first_command_within_its_first_lines() -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if page.name != "README.md":
            assert re.search(r"^```", "\n".join(text.splitlines()[:6]), re.MULTILINE), page.name


def test_a_study_in_the_log_begins_with_its_finding_and_is_listed_with_it() -> None:
    listed = read_page("docs/log/README.md")
    for page in sorted((ROOT / "docs/log").glob("0*.md")):
        finding = page.read_text(encoding="utf-8").splitlines()[2]
        assert re.fullmatch(r"\*\*.+\*\*", finding), page.name
        assert f"]({page.name}): {finding.strip('*')}\n" in listed
        assert "\n## What it does not " in page.read_text(encoding="utf-8"), page.name


def test_readmes_rows_of_the_study_are_those_of_the_log() -> None:
    def rows(text: str) -> dict[str, dict[str, str]]:
        lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if "|" in line]
        header = next(line for line in lines if "setting" in line[0])
        return {line[0].strip(): dict(zip(header, line, strict=False)) for line in lines}

    def bare(cell: str) -> str:
        return re.sub(r"°|\\\*|†| r [\d.]+$", "", cell)

    whole = rows(read_page("docs/log/0029-study.md"))
    columns = {"CHAIRi ↓": "CHAIRi ↓ (pictos\\_chair)", "recall ↑": "recall ↑ (pictos\\_chair)",
               "words": "words (pictos\\_chair)", "F1 ↑": "f1 ↑ (pictos\\_captions)",
               "frontier/CHAIRi ↓": "frontier/CHAIRi ↓ (pictos\\_chair)"}  # fmt: skip
    short = rows(read_page("README.md").split("## What the study finds")[1].split("\n## ")[0])
    quoted = {setting: row for setting, row in short.items() if setting not in ("setting", "---")}
    assert len(quoted) == 3
    for setting, row in quoted.items():
        theirs = whole[re.sub(r" \(.*\)$", "", setting)]
        assert {name: row[name].rstrip(" |") for name in columns} == {
            name: bare(theirs[column]) for name, column in columns.items()
        }


def test_readme_quotes_the_seed_and_the_finding_of_the_study() -> None:
    study = read_page("docs/log/0029-study.md")
    readme = read_page("README.md").split("## What the study finds")[1]
    (seed,) = re.findall(r"^\| seed model \|  \|  \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|", study, re.MULTILINE)
    chair, recall, words, f1 = seed
    assert f"has CHAIRi {chair}, recall {recall}, F1 {f1} and {words} words." in readme
    finding = re.findall(r"\*\*(No gain is seen [^:.]*)", readme)[0]
    assert study.splitlines()[2].startswith(f"**{finding}:")


def test_the_picture_is_light() -> None:
    assert all(image.stat().st_size < 150_000 for image in (ROOT / "docs/images").glob("*.png"))


def test_no_file_names_a_package_index_or_model_host() -> None:
    hosts = re.compile("|".join(r"\.".join(parts) for parts in HOSTS))
    texts = [*PAGES, *ROOT.glob("*.toml"), *ROOT.glob("*.txt"), ROOT / "Makefile", ROOT / ".ci" / "run"]
    texts = [path for path in texts if path.exists()]
    assert [str(path) for path in texts if hosts.search(path.read_text(encoding="utf-8"))] == []


def test_the_shipped_recipe_is_short_enough_to_read() -> None:
    assert len(read_page("loops/recipes/judge_free.yaml").splitlines()) <= 30


def test_the_grid_that_is_shown_is_a_grid(tmp_path: Path) -> None:
    (shown,) = blocks(read_page("docs/grids.md"), "yaml")
    (tmp_path / "my_grid.yaml").write_text(shown, encoding="utf-8")
    grid = load_grid(tmp_path / "my_grid.yaml")
    assert len(grid.cells) == 3, "one of four combinations is left out"

"""Commands on models of the hub: which commit was measured stands in the results, and stays what is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.hub import COMMIT, OTHER_COMMIT, Hub, hub_at, use_hub
from tests.support.shell import Strop
from tests.support.tiny import save_adapter, save_tiny
from tests.support.variants import variant

pytestmark = pytest.mark.slow

SMALL = ("rounds=0", "evaluate.tasks=[pictos_chair]", "evaluate.limit=4", "model=owner/tiny")


@pytest.fixture
def site(tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_at(monkeypatch, tmp_path / "cache") as served:
        served.add("owner/tiny", tiny)
        yield served


def _moved_on(site: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Main is another commit, of other weights, and this is another day."""
    site.add("owner/tiny", save_tiny(folder, seed=7), OTHER_COMMIT)
    use_hub(monkeypatch, site.url, site.cache)


def _measured(folder: str) -> dict[str, str]:
    content = json.loads(Path(folder, "results.json").read_text())
    model = content["provenance"]["model"]
    return {"digest": content["digest"], **{name: model[name] for name in ("weights", "adapter") if name in model}}


def test_results_name_the_commits_of_model_and_adapter(site: Hub, strop: Strop, tiny: Path, tmp_path: Path) -> None:
    site.add("owner/lora", save_adapter(tiny, tmp_path / "lora"), OTHER_COMMIT, "v1")
    words = ("eval", "--tasks", "pictos_chair", "--limit", "2")
    ran = strop(*words, "--model", "owner/tiny", "--adapter", "owner/lora@v1", "--out", "x")
    assert f"weights of owner/tiny@{COMMIT}\nadapter of owner/lora@{OTHER_COMMIT}\n" in ran.out
    assert strop("board", "x", "--out", "board").code == 0
    assert "| owner/tiny (01234567) |" in Path("board/board.md").read_text()
    assert strop("export", "x", "--to", "model-card", "--out", "export").code == 0
    (card,) = Path("export/model-card").glob("*/README.md")
    assert f" (owner/tiny@{COMMIT} with owner/lora@{OTHER_COMMIT})." in card.read_text()
    measured = _measured("x")
    assert (measured["weights"], measured["adapter"]) == (f"owner/tiny@{COMMIT}", f"owner/lora@{OTHER_COMMIT}")
    assert strop(*words, "--model", tiny, "--out", "y").code == 0
    assert list(_measured("y")) == ["digest"]


def test_a_run_goes_on_with_the_commit_that_it_began_with(
    site: Hub, strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "judge_free", *(word for field in SMALL for word in ("--set", field))]
    assert strop(*words, "--out", "run").code == 0
    assert json.loads(Path("run/hub.json").read_text()) == {"owner/tiny": f"owner/tiny@{COMMIT}"}
    _moved_on(site, tmp_path / "new", monkeypatch)
    assert "nothing was done" in strop(*words, "--out", "run").out
    assert strop(*words, "--out", "later").code == 0
    assert [_measured(f"{run}/round-0/eval")["weights"] for run in ("run", "later")] == [
        f"owner/tiny@{COMMIT}", f"owner/tiny@{OTHER_COMMIT}",
    ]  # fmt: skip


def test_runs_that_share_stages_start_from_one_commit(
    site: Hub, strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "judge_free", *(word for field in SMALL for word in ("--set", field)), "--shared", "shared"]
    assert strop(*words, "--out", "first").code == 0
    _moved_on(site, tmp_path / "new", monkeypatch)
    assert strop(*words, "--out", "second", "--set", "seed=1").code == 0
    assert _measured("second/round-0/eval") == _measured("first/round-0/eval")


def test_a_finished_run_asks_nobody(
    site: Hub, strop: Strop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["run", "judge_free", *(word for field in SMALL for word in ("--set", field)), "--out", "run"]
    assert strop(*words).code == 0
    caplog.clear()
    use_hub(monkeypatch, "http://127.0.0.1:9", site.cache)
    assert "nothing was done" in strop(*words).out
    assert caplog.records == []


@pytest.mark.parametrize("what", ["eval", "run"])
def test_what_is_done_again_is_done_with_the_commit_of_then(
    site: Hub, strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    words = {
        "eval": ["eval", "--model=owner/tiny", "--tasks", "pictos_chair", "--limit", "2"],
        "run": ["run", "judge_free", *(word for field in SMALL for word in ("--set", field))],
    }
    assert strop(*words[what], "--out", "then").code == 0
    _moved_on(site, tmp_path / "new", monkeypatch)
    commands = list[Sequence[str]]()
    monkeypatch.setattr("strop.commands.rerun._repeat", lambda command, stdout: commands.append(command.words) or 7)
    ran = strop("rerun", "then", "--out", "again")
    assert ran.code == 7, ran.err
    if what == "eval":
        assert commands[0][:2] == ("eval", f"--model=owner/tiny@{COMMIT}")
    else:
        assert Path("again/hub.json").read_text() == Path("then/hub.json").read_text()


def test_the_refusals_of_the_hub_are_a_commands_one_line(site: Hub, strop: Strop, tiny: Path, tmp_path: Path) -> None:
    files = {"model.safetensors": None, "pytorch_model.bin": "x"}
    site.add("owner/pickled", variant(tiny, tmp_path / "p", texts=files))
    for model, text in (("owner/pickled", ": pickled weights only"), ("owner/none", ": no such folder, and no repo")):
        error = strop("eval", "--model", model, "--tasks", "pictos_chair", "--out", "x").error()
        assert error.startswith(model + text)
        error = strop("run", "judge_free", "--set", f"model={model}", "--out", "r").error()
        assert error.replace(f"@{COMMIT}", "").startswith(model + text)
    assert not Path("r").exists()

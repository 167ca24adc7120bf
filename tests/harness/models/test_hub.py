"""Models by hub id, from a hub on this machine and from its cache: what is fetched, what is told, what is refused."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.models import hub
from harness.models.weights import adapter_folder, model_folder, settings_folder
from tests.support.hub import COMMIT, OTHER_COMMIT, Hub, hub_at, use_hub
from tests.support.shell import ROOT

FILES = {"config.json": "{}", "tokenizer.json": "[]", "model.safetensors": "weights", "README.md": "# A model\n"}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_at(monkeypatch, tmp_path / "cache") as served:
        yield served


def _repository(folder: Path, *more: str, **files: str) -> Path:
    """A folder with the files of a model and others, named or with a text; no two have one content."""
    for name, text in {**FILES, **{name: name for name in more}, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _complaint(name: str, folder: object = model_folder) -> str:
    with pytest.raises(ModelError) as caught:
        folder(name)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is fetched ------------------------------------------------------------------------------------------------------


def test_a_model_is_had_by_its_id_and_told_before_with_its_size(
    site: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("owner/model", _repository(tmp_path / "r", **{"model.safetensors": "w" * 1500}))
    folder = model_folder("owner/model")
    assert folder == site.folder("owner/model")
    assert (folder / "model.safetensors").read_text() == "w" * 1500
    line = f"downloading owner/model, commit 01234567: 4 files, 1.51 kB, into {folder}"
    assert [record.message for record in caplog.records] == [line]
    site.requests.clear()
    assert model_folder("owner/model") == folder
    assert (site.requests, len(caplog.records)) == ([], 1), "nothing is fetched or told again"


def test_only_what_a_model_is_loaded_from_is_fetched(site: Hub, tmp_path: Path) -> None:
    others = ("pytorch_model.bin", "model.gguf", "original/model.safetensors", "onnx/model.onnx", "x.pth", "code.py",
              "consolidated.safetensors", "params.pt", "pytorch_model.bin.index.json", "training_args.bin",
              "model.fp16.safetensors", "consolidated.safetensors.index.json", "runs/events.out")  # fmt: skip
    parts = ("chat_template.jinja", "tokenizer.model", "merges.txt", "preprocessor_config.json", "tekken.json",
             "additional_chat_templates/tool.jinja", "LICENSE")  # fmt: skip
    site.add("owner/model", _repository(tmp_path / "r", *others, *parts))
    model_folder("owner/model")
    assert site.downloads() == sorted([*FILES, *parts])


def test_a_models_settings_are_had_without_its_weights_and_the_weights_later(site: Hub, tmp_path: Path) -> None:
    site.add("owner/model", _repository(tmp_path / "r"))
    folder = settings_folder("owner/model")
    assert site.downloads() == ["README.md", "config.json", "tokenizer.json"]
    assert not (folder / "model.safetensors").exists()
    assert (model_folder("owner/model") / "model.safetensors").read_text() == "weights"
    assert settings_folder(str(tmp_path / "r")) == tmp_path / "r"


def test_shards_are_fetched_with_their_index_and_an_adapter_by_its_own_names() -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    assert set(hub.needed([*shards, "consolidated-00001-of-00002.safetensors"])) == set(shards)
    adapter = ["adapter_config.json", "adapter_model.safetensors"]
    assert sorted(hub.needed([*adapter, "checkpoint-10/adapter_model.safetensors"])) == adapter


def test_a_revision_is_a_branch_a_tag_or_a_commit(site: Hub, tmp_path: Path) -> None:
    site.add("owner/model", _repository(tmp_path / "old", **{"config.json": "old"}), COMMIT, "v1")
    site.add("owner/model", _repository(tmp_path / "new", **{"config.json": "new"}), OTHER_COMMIT)
    texts = {name: (model_folder(f"owner/model{name}") / "config.json").read_text()
             for name in ("", "@main", "@v1", f"@{COMMIT}")}  # fmt: skip
    assert texts == {"": "new", "@main": "new", "@v1": "old", f"@{COMMIT}": "old"}


def test_a_branch_is_resolved_once_in_a_process(site: Hub, tmp_path: Path) -> None:
    site.add("owner/model", _repository(tmp_path / "old"))
    first = model_folder("owner/model")
    site.add("owner/model", _repository(tmp_path / "new"), OTHER_COMMIT)
    assert model_folder("owner/model") == first
    assert model_folder(f"owner/model@{OTHER_COMMIT}").name == OTHER_COMMIT


@pytest.mark.parametrize("saved", [False, True], ids=["HF_TOKEN", "saved login"])
def test_a_token_opens_a_private_repository_and_stands_nowhere(
    site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, saved: bool
) -> None:
    token = "hf_abcdefghijklmnopqrst"
    site.add("owner/private", _repository(tmp_path / "r"))
    site.locked["owner/private"] = token
    assert _complaint("owner/private") == _complaint("owner/nowhere").replace("nowhere", "private")
    if saved:
        site.login.write_text(token)
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    folder = model_folder("owner/private")
    assert f"Bearer {token}" in site.tokens
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != site.login]
    assert folder.is_dir()
    assert not any(token.encode() in content for content in (*written, caplog.text.encode()))


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """huggingface_hub asks for the rest in the same process; between processes it keeps whole files."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    site.add("owner/model", _repository(tmp_path / "r", **{"model.safetensors": "0123456789" * 1000}))
    site.breaks = 4000
    assert (model_folder("owner/model") / "model.safetensors").read_text() == "0123456789" * 1000
    assert site.downloads().count("model.safetensors") == 2


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_of_bytes_is_drawn_where_somebody_watches(
    site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr", screen)
    site.add("owner/model", _repository(tmp_path / "r"))
    model_folder("owner/model")
    bars = {line.partition(":")[0] for line in screen.getvalue().split("\r") if ":" in line}
    assert bars == ({"Downloading bytes", "Download complete"} if terminal else set())


def test_what_is_missing_of_a_snapshot_is_fetched_and_the_rest_is_not(
    site: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.add("owner/model", _repository(tmp_path / "r"))
    weights = model_folder("owner/model") / "model.safetensors"
    weights.resolve().unlink()
    site.requests.clear()
    assert (model_folder("owner/model") / "model.safetensors").read_text() == "weights"
    assert site.downloads() == ["model.safetensors"]
    assert "1 file, 7 B" in caplog.text


# What is refused ------------------------------------------------------------------------------------------------------


def test_a_repository_of_pickled_weights_is_refused_before_anything_is_fetched(site: Hub, tmp_path: Path) -> None:
    cases = {
        "pytorch_model.bin": "pickled weights only (pytorch_model.bin); they are not loaded, since unpickling runs ",
        "m.Q4_K_M.gguf": "weights for llama.cpp only (m.Q4_K_M.gguf); take the repository that they were made from",
        "consolidated.safetensors": "weights in Mistral's own layout only (consolidated.safetensors); take the ",
        "notes.md": "no safetensors weights in it; name a repository of a model",
    }
    for number, (file, text) in enumerate(cases.items()):
        folder = _repository(tmp_path / str(number), file)
        (folder / "model.safetensors").unlink()
        site.add(f"owner/m{number}", folder)
        assert _complaint(f"owner/m{number}").startswith(f"owner/m{number}: {text}")
    assert site.downloads() == []


def test_an_adapters_repository_holds_an_adapter(site: Hub, tmp_path: Path) -> None:
    site.add("owner/model", _repository(tmp_path / "r"))
    assert _complaint("owner/model", adapter_folder) == (
        "adapter owner/model: no adapter_config.json in it; name a repository of an adapter that peft saved"
    )
    site.add("owner/lora", _repository(tmp_path / "l", "adapter_config.json", "adapter_model.safetensors"))
    assert adapter_folder("owner/lora@main") == site.folder("owner/lora")


def test_what_the_hub_refuses_is_one_line_with_its_remedy(
    site: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.add("owner/model", _repository(tmp_path / "r"))
    site.add("owner/gated", _repository(tmp_path / "g"))
    site.gated.add("owner/gated")
    assert _complaint("owner/nowhere") == (
        "owner/nowhere: no such folder, and no repository of that name on the hub that this account may read; check "
        "the name, or set HF_TOKEN or sign in by `hf auth login` if it is private"
    )
    assert _complaint("owner/model@v9") == (
        "owner/model@v9: the repository has no revision v9; name a branch, a tag or a commit of it"
    )
    assert _complaint("owner/gated") == (
        "owner/gated: its repository is gated and this account has no access to it; ask for it on the repository's "
        "page, and set HF_TOKEN or sign in by `hf auth login`"
    )
    assert _complaint("owner/a--b").startswith("owner/a--b: no such folder, and no hub id (")
    assert caplog.text == "", "nothing is said to be downloaded"


def test_a_disk_too_small_is_told_before_it_is_filled(
    site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("owner/model", _repository(tmp_path / "r", **{"model.safetensors": "w" * 5000}))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 4000}))
    assert _complaint("owner/model") == (
        f"owner/model: 5.01 kB to download and 4 kB free at {site.cache}; make room, or set HF_HUB_CACHE to a folder "
        "on another disk"
    )
    assert site.downloads() == []


def test_a_disk_that_fills_up_meanwhile_and_a_token_that_is_none_are_told(
    site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("owner/model", _repository(tmp_path / "r"))
    with monkeypatch.context() as patched:
        full = OSError(errno.ENOSPC, "No space left on device")
        patched.setattr("huggingface_hub.snapshot_download", lambda *_, **__: (_ for _ in ()).throw(full))
        assert _complaint("owner/model") == (
            f"owner/model: {site.cache / 'models--owner--model'} cannot be written (No space left on device); make "
            "room, or name another place"
        )
    site.expired = True
    hub.resolved.cache_clear()
    assert _complaint("owner/model").startswith("owner/model: the hub does not give it (Client error '401 Unauthori")


# Without the hub ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offline", [True, False], ids=["offline", "no network"])
def test_the_cache_serves_without_the_hub(
    site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    site.add("owner/model", _repository(tmp_path / "r"), COMMIT, "v1")
    folder = model_folder("owner/model@v1")
    model_folder("owner/model")
    use_hub(monkeypatch, "http://127.0.0.1:9", site.cache, offline=offline)
    monkeypatch.setattr(logging.getLogger("huggingface_hub.hf_api"), "disabled", True)
    for name in ("owner/model", "owner/model@v1", f"owner/model@{COMMIT}"):
        assert model_folder(name) == folder
    complaint = _complaint("owner/other")
    if offline:
        assert complaint == (
            f"owner/other: no such folder, not in the cache ({site.cache}), and HF_HUB_OFFLINE is set; unset it to "
            "download it, or copy the cache of a machine that has it"
        )
    else:
        assert complaint.startswith("owner/other: no such folder, and the hub cannot be reached (")
        assert "refused" in complaint


def test_a_snapshot_that_another_program_left_serves_too_unless_it_has_no_weights(
    site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, "http://127.0.0.1:9", site.cache, offline=True)
    _repository(site.folder("owner/model"))
    (site.cache / "models--owner--model/refs").mkdir()
    (site.cache / "models--owner--model/refs/main").write_text(COMMIT)
    assert model_folder("owner/model") == site.folder("owner/model")
    (site.folder("owner/model") / "model.safetensors").unlink()
    assert _complaint("owner/model").startswith("owner/model: no safetensors weights in ")


def test_half_a_snapshot_is_told_offline(site: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("owner/model", _repository(tmp_path / "r"))
    (model_folder("owner/model") / "model.safetensors").unlink()
    use_hub(monkeypatch, site.url, site.cache, offline=True)
    assert _complaint("owner/model") == (
        "owner/model: 1 file is missing of its snapshot in the cache (model.safetensors), and HF_HUB_OFFLINE is set; "
        "unset it once, and the rest is downloaded"
    )


def test_a_folder_of_the_cache_is_a_model_by_its_path(site: Hub, tmp_path: Path) -> None:
    site.add("owner/model", _repository(tmp_path / "r"))
    folder = model_folder("owner/model")
    repository = shutil.copytree(site.cache / "models--owner--model", tmp_path / "copy", symlinks=True)
    snapshot = repository / "snapshots" / COMMIT
    for name in (repository, f"{repository}@main", f"{repository}@{COMMIT}"):
        assert model_folder(str(name)) == snapshot
    assert (snapshot / "config.json").read_bytes() == (folder / "config.json").read_bytes()
    assert _complaint(f"{repository}@v2") == (
        f"{repository}@v2: no snapshot of v2 in it; name one in {repository / 'snapshots'}"
    )


def test_a_snapshot_says_whose_it_is(tmp_path: Path) -> None:
    snapshot = tmp_path / f"models--owner--model-7b/snapshots/{COMMIT}"
    snapshot.mkdir(parents=True)
    (tmp_path / "link").symlink_to(snapshot)
    assert hub.origins(tmp_path / "link", snapshot) == dict.fromkeys(("weights", "adapter"), f"owner/model-7b@{COMMIT}")
    assert hub.origins(tmp_path, tmp_path) == {}


@pytest.mark.slow
def test_the_variables_of_the_hub_are_followed(site: Hub, tmp_path: Path) -> None:
    """In a process of its own, since huggingface_hub reads them when it is imported."""
    site.add("owner/model", _repository(tmp_path / "r"))
    code = "from harness.models.weights import model_folder; print(model_folder('owner/model'))"
    home = tmp_path / "home"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": site.url, "HF_HOME": str(home)}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        environment.pop(name, None)

    def ran(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], env={**environment, **variables}, capture_output=True, text=True, check=True
        )

    first, second = ran(), ran(HF_HUB_OFFLINE="1")
    assert first.stdout == second.stdout == f"{home}/hub/models--owner--model/snapshots/{COMMIT}\n"
    assert first.stderr.startswith("downloading owner/model, commit 01234567: 4 files, ")
    assert (first.stderr.count("\n"), second.stderr) == (1, "")

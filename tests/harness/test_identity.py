"""What makes a model answer as it does is the model: its stored answers, results and stages go by all of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ModelError
from harness.models.weights import adapter_folder, model_digest, model_folder
from tests.support.hub import COMMIT, OTHER_COMMIT, hub_at
from tests.support.shell import Strop
from tests.support.tiny import save_adapter
from tests.support.variants import variant

EDITS: dict[str, tuple[str, dict[str, Any]]] = {
    "end token": ("tokenizer_config.json", {"eos_token": "<unk>"}),
    "layer that is seen": ("config.json", {"vision_feature_layer": -2}),
    "rotary base": ("config.json", {"text_config": {"rope_parameters": {"rope_theta": 100.0}}}),
    "end tokens of generation": ("generation_config.json", {"eos_token_id": [3, 20]}),
    "suppressed tokens": ("generation_config.json", {"suppress_tokens": [20]}),
    "picture size": ("processor_config.json", {"image_processor": {"size": {"height": 32, "width": 32}}}),
    "pictures' mean": ("processor_config.json", {"image_processor": {"image_mean": [0.4, 0.4, 0.4]}}),
    "old picture settings": ("preprocessor_config.json", {"image_mean": [0.4, 0.4, 0.4]}),
    "special tokens": ("special_tokens_map.json", {"eos_token": "<unk>"}),
    "a word's number": ("tokenizer.json", {"model": {"vocab": {"▁cat": 31, "▁dog": 30}}}),
    "a token added": ("added_tokens.json", {"<new>": 1033}),
    "old chat template": ("chat_template.json", {"chat_template": "{{ 'x' }}"}),
    "shards": ("model.safetensors.index.json", {"weight_map": {}}),
}


@pytest.mark.reported("identity")
@pytest.mark.parametrize(("file", "change"), EDITS.values(), ids=EDITS)
def test_an_edit_of_any_file_of_a_model_makes_another_model(
    tiny: Path, tmp_path: Path, file: str, change: dict[str, Any]
) -> None:
    assert model_digest(variant(tiny, tmp_path / "same")) == model_digest(tiny)
    assert model_digest(variant(tiny, tmp_path / "m", json_files={file: change})) != model_digest(tiny)


@pytest.mark.reported("identity")
@pytest.mark.parametrize("name", ["end token", "layer that is seen", "rotary base", "end tokens of generation"])
def test_an_edited_model_is_not_given_the_answers_of_the_one_before(
    tiny: Path, strop: Strop, tmp_path: Path, name: str
) -> None:
    folder = variant(tiny, tmp_path / "m")
    words = ("eval", "--model", "m", "--tasks", "pictos_chair", "--limit", "6", "--json", "--out")
    before = json.loads(strop(*words, "out").out)
    shutil.copytree("out", "copy")
    file, change = EDITS[name]
    variant(tiny, folder, json_files={file: change})
    assert "out holds results of m (weights " in strop(*words, "out").error()
    Path("copy/results.json").unlink()  # the stored answers stay
    after, fresh = (json.loads(strop(*words, out).out) for out in ("copy", "fresh"))
    assert after == fresh
    assert after["digest"] != before["digest"]
    assert len(Path("copy/answers.jsonl").read_text().splitlines()) == 12, "all were asked anew"


@pytest.mark.reported("identity")
def test_a_finished_stage_is_not_taken_for_that_of_an_edited_model(tiny: Path, strop: Strop, tmp_path: Path) -> None:
    folder = variant(tiny, tmp_path / "m")
    small = [f"--set={field}" for field in ("model=m", "rounds=0", "evaluate.tasks=[pictos_chair]", "evaluate.limit=4")]
    words = ("run", "judge_free", "--out", "run", *small)
    assert "nothing was done" not in strop(*words).out
    assert "nothing was done" in strop(*words).out
    variant(tiny, folder, json_files={"config.json": {"vision_feature_layer": -2}})
    assert "nothing was done" not in strop(*words).out


@pytest.mark.reported("identity")
def test_an_adapter_is_its_settings_too(tiny: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tiny, tmp_path / "adapter")
    before = model_digest(tiny, adapter)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    for change in ({"lora_alpha": 99}, {"use_rslora": True}, {"alpha_pattern": {"q_proj": 3}}):
        (adapter / "adapter_config.json").write_text(json.dumps({**settings, **change}))
        assert model_digest(tiny, adapter) != before
    (adapter / "adapter_config.json").write_text(json.dumps(dict(reversed(settings.items()))))
    assert model_digest(tiny, adapter) == before, "the order of keys is none"


@pytest.mark.reported("identity")
def test_a_model_in_the_hubs_cache_is_the_model(tiny: Path, tmp_path: Path) -> None:
    """There, files are links to what is named by its content."""
    (tmp_path / "blobs").mkdir()
    snapshot = tmp_path / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(tiny.iterdir())):
        shutil.copy(file, tmp_path / "blobs" / str(number))
        (snapshot / file.name).symlink_to(Path("../../blobs") / str(number))
    assert model_digest(snapshot) == model_digest(tiny)
    config = (snapshot / "config.json").resolve()
    config.write_text(config.read_text().replace('"vision_feature_layer": -1', '"vision_feature_layer": -2'))
    assert model_digest(snapshot) != model_digest(tiny)
    (snapshot / "tokenizer.json").resolve().unlink()
    with pytest.raises(
        ModelError, match=r"tokenizer\.json: cannot be read \(No such file.*; download the model again$"
    ):
        model_digest(snapshot)


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.reported("models")
def test_the_home_folder_is_known_where_the_shell_leaves_it_alone(
    tiny: Path, strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    variant(tiny, home / "m")
    save_adapter(tiny, home / "lora")
    monkeypatch.setenv("HOME", str(home))
    assert (model_folder("~/m"), adapter_folder("~/lora")) == (home / "m", home / "lora")
    words = ("eval", "--tasks", "pictos_chair", "--limit", "2")
    assert strop(*words, "--model", "~/m", "--adapter", "~/lora", "--out", "~/x").code == 0
    assert strop(*words, "--model=~/m", "--out=~/y").code == 0
    assert sorted(path.name for path in home.iterdir()) == ["lora", "m", "x", "y"]
    assert strop("compare", "~/x", "~/y").code == 0
    small = ("--set", "model=~/m", "--set", "adapter=~/lora", "--set", "rounds=0", "--set", "evaluate.limit=2")
    assert strop("run", "judge_free", "--out", "~/r", "--set", "evaluate.tasks=[pictos_chair]", *small).code == 0
    assert not (tmp_path / "~").exists()


@pytest.mark.reported("models")
def test_an_adapter_may_be_a_hub_id_as_a_model_may(
    tiny: Path, strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = save_adapter(tiny, tmp_path / "adapter")
    words = ("eval", "--model", tiny, "--tasks", "pictos_chair", "--limit", "2", "--json", "--adapter")
    with hub_at(monkeypatch, tmp_path / "cache") as site:
        site.add("owner/lora", adapter, COMMIT, "v1")
        site.add("owner/lora", variant(adapter, tmp_path / "new", weights=lambda weights: {}), OTHER_COMMIT)
        digests = [json.loads(strop(*words, name, "--out", out).out)["digest"]
                   for name, out in (("owner/lora@v1", "hub"), (adapter, "local"))]  # fmt: skip
    assert digests[0] == digests[1]
    for adapter_of, error in (("lora", "no such folder"), ("./a/b", "no such folder"), ("~/a", "no such folder")):
        assert strop(*words, adapter_of, "--out", "no").error().startswith(f"adapter {_home(adapter_of)}: {error}")


def _home(name: str) -> str:
    return str(Path(name).expanduser()) if name.startswith("~") else name


@pytest.mark.reported("models")
def test_a_file_in_a_models_place_is_told(tiny: Path) -> None:
    for name in (str(tiny / "model.safetensors"), str(tiny / "config.json")):
        with pytest.raises(ModelError, match=r": is a file; name the folder that it lies in$"):
            model_folder(name)

"""What a round trained has a card that the hub reads, and an adapter that others load on its base."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from harness.models.weights import tell_other_base
from tests.support.hub import COMMIT, OTHER_COMMIT, hub_at
from tests.support.shell import Strop
from tests.support.tiny import save_adapter
from tests.support.variants import variant

pytestmark = pytest.mark.slow

SMALL = ("collect.kind=sampling", "collect.samples=8", "collect.unfinished=keep", "collect.max_unfinished=1",
         "select.keep=1.0", "verify.kind=none", "optimise.trl.per_device_train_batch_size=4",
         "evaluate.tasks=[pictos_chair]", "evaluate.limit=6")  # fmt: skip

BASE_CARD = "---\nlicense: other\nlicense_name: tiny-licence\nlicense_link: LICENSE\n---\n# Base\n"


def _run(strop: Strop, model: object, *changes: str, out: str = "run") -> Path:
    words = [word for change in (*SMALL, f"model={model}", *changes) for word in ("--set", change)]
    ran = strop("run", "judge_free", "--out", out, *words)
    assert ran.code == 0, ran.err
    return Path(out)


def test_a_round_on_a_hub_model_leaves_a_card_and_an_adapter_that_others_load(
    tiny: Path, strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = variant(tiny, tmp_path / "base", texts={"README.md": BASE_CARD})
    with hub_at(monkeypatch, tmp_path / "cache") as site:
        site.add("owner/tiny", base, COMMIT, "v1")
        site.add("owner/tiny", variant(tiny, tmp_path / "new"), OTHER_COMMIT)
        stage = _run(strop, "owner/tiny@v1", "rounds=1", "optimise.weights=lora") / "round-1/optimise"
        snapshot = site.folder("owner/tiny")
    whole, adapter = (ModelCard.load(stage / name / "README.md") for name in ("checkpoint", "adapter"))
    common = {"base_model": "owner/tiny", "license": "other", "license_name": "tiny-licence", "license_link": "LICENSE"}
    assert whole.data.to_dict() == {
        **common, "base_model_relation": "finetune", "library_name": "transformers",
        "pipeline_tag": "image-text-to-text", "tags": ["strop", "dpo"],
    }  # fmt: skip
    assert adapter.data.to_dict() == {
        **common, "base_model_relation": "adapter", "library_name": "peft",
        "pipeline_tag": "image-text-to-text", "tags": ["strop", "dpo", "lora"],
    }  # fmt: skip
    assert f"| trained from | owner/tiny@v1, commit {COMMIT}, weights " in whole.text
    assert f'AutoModelForImageTextToText.from_pretrained("owner/tiny", revision="{COMMIT}")' in adapter.text
    assert str(tmp_path) not in whole.text + adapter.text

    config = json.loads((stage / "adapter/adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("owner/tiny", COMMIT)
    assert sorted(path.suffix for path in (stage / "adapter").iterdir()) == [".json", ".md", ".safetensors"]

    plain = AutoModelForImageTextToText.from_pretrained(snapshot)
    unmerged = PeftModel.from_pretrained(plain, stage / "adapter")
    merged = AutoModelForImageTextToText.from_pretrained(stage / "checkpoint")
    ids = torch.arange(20, 30)[None]
    with torch.no_grad():
        torch.testing.assert_close(unmerged(input_ids=ids).logits, merged(input_ids=ids).logits, atol=1e-4, rtol=1e-4)
        before = AutoModelForImageTextToText.from_pretrained(snapshot)(input_ids=ids).logits
    assert not torch.equal(before, merged(input_ids=ids).logits)


def test_a_seed_with_its_adapter_has_a_card_too(strop: Strop, tiny: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tiny, tmp_path / "lora")
    run = _run(strop, tiny, "rounds=1", f"adapter={adapter}", "optimise.trl.max_steps=1")
    card = ModelCard.load(run / "round-0/merge/checkpoint/README.md")
    assert card.data.to_dict() == {
        "library_name": "transformers", "pipeline_tag": "image-text-to-text", "tags": ["strop", "lora"]
    }  # fmt: skip
    assert f"| model | {tiny.name} |\n| adapter | lora |" in card.text
    assert str(tmp_path) not in card.text


def test_a_later_round_names_the_round_before_and_a_local_seed_its_name(strop: Strop, tiny: Path) -> None:
    run = _run(strop, tiny, "rounds=2", "optimise.weights=lora")
    configs = [json.loads((run / f"round-{number}/optimise/adapter/adapter_config.json").read_text())
               for number in (1, 2)]  # fmt: skip
    assert [config["base_model_name_or_path"] for config in configs] == [str(tiny), "round-1/optimise/checkpoint"]
    assert [config["revision"] for config in configs] == [None, None]
    card = ModelCard.load(run / "round-2/optimise/checkpoint/README.md")
    assert (card.data.base_model, card.data.license) == (None, None)
    assert "| trained from | round-1/optimise/checkpoint, weights " in card.text


def test_the_exported_card_is_the_checkpoints_with_its_figures(strop: Strop, tiny: Path, tmp_path: Path) -> None:
    base = variant(tiny, tmp_path / "base", texts={"README.md": "---\nlicense: mit\nbase_model: owner/x\n---\n"})
    run = _run(strop, base, "rounds=1")
    assert strop("export", run, "--to", "model-card", "--out", "out").code == 0
    first, honed = map(ModelCard.load, sorted(Path("out/model-card").glob("*/README.md")))
    assert (honed.data.license, honed.data.base_model, honed.data.library_name) == ("mit", "owner/x", "transformers")
    assert honed.data.base_model_relation == "finetune"
    assert "| trained by | dpo, " in honed.text
    assert {result.dataset_type for result in honed.data.eval_results} == {"pictos_chair"}
    assert "| CHAIRi ↓ | " in honed.text
    assert first.data.base_model is None
    assert "| trained from | base, weights " in honed.text
    assert str(tmp_path) not in honed.text


# An adapter's own word on its base -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "revision", "complaint"),
    [
        ("owner/model-7b", None, None),
        ("owner/model-7b", COMMIT, None),
        ("/home/somebody/models/model-7b", None, None),
        (f"/home/somebody/models--owner--model-7b/snapshots/{COMMIT}", None, None),
        ("", None, None),
        ("owner/model-13b", None, "owner/model-13b"),
        ("other/model-7b", None, "other/model-7b"),
        ("/home/somebody/models/model-13b", None, "/home/somebody/models/model-13b"),
        ("owner/model-7b", OTHER_COMMIT, f"its commit {OTHER_COMMIT}"),
    ],
)
def test_an_adapter_of_another_base_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, base: str, revision: str | None, complaint: str | None
) -> None:
    config = {"base_model_name_or_path": base, "revision": revision}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    folder = tmp_path / f"models--owner--model-7b/snapshots/{COMMIT}"
    folder.mkdir(parents=True)
    tell_other_base(tmp_path, name="owner/model-7b", folder=folder)
    line = f"adapter {tmp_path} was trained on {complaint} and is put on owner/model-7b; unless both are the "
    assert [record.message for record in caplog.records] == [f"{line}same weights, answers mean nothing"][
        : complaint is not None
    ]

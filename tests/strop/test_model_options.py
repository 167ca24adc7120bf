"""Where a model computes, how precisely, and what it reads beside the question: options that results name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.errors import UsageError
from harness.judge import ModelJudge
from harness.models.options import ModelOptions
from harness.models.vlm import Vlm
from harness.results import read_results
from strop.models import open_judge
from tests.support.shell import Strop
from tests.support.tiny import HUB_TEMPLATE, llama_like_processor, save_tiny
from tests.support.variants import variant

pytestmark = pytest.mark.slow

THINKS = HUB_TEMPLATE + "{% if enable_thinking is defined and enable_thinking %}{{ '<think>\n' }}{% endif %}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("m"), seed=4, reads=llama_like_processor("first", THINKS))


def test_results_name_every_option_of_the_model(strop: Strop, model: Path, tmp_path: Path) -> None:
    penalised = variant(model, tmp_path / "m", json_files={"generation_config.json": {"repetition_penalty": 1.05}})
    words = ["eval", "--model", penalised, "--tasks", "pictos_pope", "--limit", 6]
    assert strop(*words, "--out", "plain").code == 0
    chosen = ["--device", "cpu", "--dtype", "bfloat16", "--attn-implementation", "eager", "--system", "Be brief.",
              "--thinking", "on", "--max-thought-tokens", 3, "--generation-config", "none"]  # fmt: skip
    assert strop(*words, *chosen, "--out", "chosen").code == 0
    plain, results = read_results(tmp_path / "plain"), read_results(tmp_path / "chosen")
    names = ("device", "dtype", "attn_implementation", "system", "thinking", "generation_config_left_out")
    assert [results.provenance["model"][name] for name in names] == [
        "cpu", "bfloat16", "eager", "Be brief.", "on", {"repetition_penalty": 1.05}
    ]  # fmt: skip
    assert results.tasks[0].sampling["max_thought_tokens"] == 3
    assert all("</think>" in row.answer for row in results.tasks[0].rows)
    assert plain.provenance["model"]["generation_config"] == {"repetition_penalty": 1.05}
    assert {"system", "thinking"} & plain.provenance["model"].keys() == set()
    assert "max_thought_tokens" not in plain.tasks[0].sampling


def test_options_of_a_run_are_fields_of_its_recipe(strop: Strop, model: Path, tmp_path: Path) -> None:
    words = ["run", "judge_free", "--set", f"model={model}", "--set", "rounds=0", "--set", "evaluate.limit=6",
             "--set", "evaluate.tasks=[pictos_pope]", "--set", "system=Be brief."]  # fmt: skip
    ran = strop(*words, "--device", "cpu", "--dtype", "bfloat16", "--attn-implementation", "eager", "--out", "run")
    assert ran.code == 0
    recipe = yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())
    assert [recipe[name] for name in ("device", "dtype", "attn_implementation", "system")] == [
        "cpu", "bfloat16", "eager", "Be brief."
    ]  # fmt: skip
    about = read_results(tmp_path / "run/round-0/eval").provenance["model"]
    assert [about[name] for name in ("dtype", "attn_implementation", "system")] == ["bfloat16", "eager", "Be brief."]


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("--device", "cuda:99", "device cuda:99: cannot be used ("),
        (
            "--attn-implementation",
            "flash_attention_2",
            "attn_implementation flash_attention_2: the package flash_attn is not installed; install it, or take sdpa",
        ),
    ],
)
def test_what_this_machine_has_not_is_one_line(strop: Strop, model: Path, option: str, value: str, error: str) -> None:
    words = ["eval", "--model", model, "--tasks", "pictos_pope", "--out", "out"]
    assert strop(*words, option, value).error().startswith(error)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--dtype", "float16"), ("--system", "Be brief."), ("--thinking", "off"), ("--generation-config", "none")],
)
def test_a_served_model_has_options_of_its_own(strop: Strop, option: str, value: str) -> None:
    words = ["eval", "--model", "m", "--endpoint", "http://localhost:9/v1", "--tasks", "pictos_pope", "--out", "out"]
    line = f"{option} is for a model that is loaded here; leave it away with an endpoint"
    assert strop(*words, option, value).error() == line


def test_a_served_models_thoughts_share_its_tokens(strop: Strop) -> None:
    words = ["eval", "--model", "m", "--endpoint", "http://localhost:9/v1", "--tasks", "pictos_pope", "--out", "out"]
    error = strop(*words, "--max-thought-tokens", 5).error()
    assert error.startswith("--max-thought-tokens is for a model that is loaded here; raise --max-tokens")


def test_options_of_a_judge_need_a_judge(model: Path) -> None:
    options = ModelOptions(device="cpu", dtype="bfloat16")
    with pytest.raises(UsageError, match=r"^--device, --dtype and --attn-implementation are of the judge; name it by"):
        open_judge(None, None, options)
    judge = open_judge(str(model), None, options)
    assert isinstance(judge, ModelJudge)
    assert isinstance(judge.model, Vlm)
    assert (judge.model.computed["device"], judge.model.computed["dtype"]) == ("cpu", "bfloat16")

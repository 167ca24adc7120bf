"""Our models and tasks under lm-eval's contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from lm_eval.api.instance import Instance

from harness.errors import ModelError
from harness.lm_eval_door import StropLM
from harness.models.load import load_vlm
from harness.types import Sample, Sampling
from tasks.pictos.benchmarks import ScenePicture
from tasks.pictos.world import seeds_of
from tests.support.scripted import Scripted
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow


def test_lm_eval_knows_our_model_by_name(tmp_path: Path) -> None:
    from lm_eval.api.registry import get_model

    save_tiny(tmp_path, seed=1)
    lm = get_model("strop").create_from_arg_string(f"pretrained={tmp_path}", {"batch_size": 1, "device": "cpu"})
    direct = load_vlm("tiny", path=tmp_path, device="cpu")
    (seed,) = seeds_of("dev", 1)
    picture = ScenePicture(seed)()
    arguments = ("What do you see?", {"until": [], "max_gen_toks": 6}, {"visual": [picture]})
    request = Instance(request_type="generate_until", doc={}, arguments=arguments, idx=0, metadata=("t", 0, 1))
    sample = Sample(id="1", prompt="What do you see?", images=(ScenePicture(seed),), target=None, cluster="1")
    assert lm.generate_until([request]) == direct.generate([sample], Sampling(max_tokens=6))[0]
    odds = Instance(request_type="loglikelihood", doc={}, arguments=("Is it?", "Yes", {"visual": [picture]}), idx=0,
                    metadata=("t", 0, 1))  # fmt: skip
    questions = Sample(id="1", prompt="Is it?", images=(ScenePicture(seed),), target=None, cluster="1")
    assert lm.loglikelihood([odds]) == direct.log_likelihood([questions], ["Yes"])


def test_lm_evals_names_of_device_and_precision_are_ours(tmp_path: Path) -> None:
    from lm_eval.api.registry import get_model

    arguments = f"pretrained={save_tiny(tmp_path)},dtype=bfloat16,attn_implementation=eager"
    lm = get_model("strop").create_from_arg_string(arguments, {"batch_size": 1, "device": "cpu"})
    assert lm.model.computed == {"device": "cpu", "dtype": "bfloat16", "attn_implementation": "eager"}
    with pytest.raises(ModelError, match=r"^dtype float8: is none of auto, float32, bfloat16, float16$"):
        get_model("strop").create_from_arg_string(f"pretrained={tmp_path},dtype=float8", {"device": "cpu"})


def test_a_model_without_likelihoods_says_so() -> None:
    lm = StropLM(model=Scripted(lambda _: ""))
    with pytest.raises(NotImplementedError, match="Scripted gives no log-likelihoods"):
        lm.loglikelihood([])
    with pytest.raises(NotImplementedError, match="rolling"):
        lm.loglikelihood_rolling([])


def test_our_model_needs_a_name() -> None:
    with pytest.raises(ValueError, match="needs pretrained=FOLDER_OR_HUB_ID"):
        StropLM()

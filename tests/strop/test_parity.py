"""`strop parity`: a local model, a served one and stored results are sides of one comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.models.load import load_vlm
from harness.types import Sample, Sampling
from tests.support.served import picture_of, prompt_of, served
from tests.support.shell import Strop
from tests.support.worlds import write_run, yes_no

pytestmark = pytest.mark.slow

ASKED = ("--tasks", "pictos_chair", "--limit", "4", "--json")


def test_a_served_model_is_held_against_the_same_one_loaded_here(strop: Strop, tiny: Path) -> None:
    vlm = load_vlm("tiny", path=tiny, device="cpu")

    def says(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Its own answer and log-probability, but for one answer and one probability of the first four."""
        images = (lambda: picture_of(request),)
        sample = Sample(id="", prompt=prompt_of(request), images=images, target=None, cluster="")
        text = vlm.generate([sample], Sampling(max_tokens=request["max_tokens"]))[0][0]
        ((value, _),) = vlm.log_likelihood([sample], [text])
        place = len(server.requests)
        text = f"{text} indeed" if place == 1 else text
        tokens = [{"token": text, "logprob": value + (place == 2), "top_logprobs": [], "bytes": None},
                  {"token": "</s>", "logprob": -9.0, "top_logprobs": [], "bytes": None}]  # fmt: skip
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return 200, {"id": "1", "object": "chat.completion", "created": 0, "model": "tiny",
                     "choices": [{**choice, "logprobs": {"content": tokens}}]}  # fmt: skip

    with served(says) as server:
        words = ("parity", tiny, f"tiny,endpoint={server.url}", "--parallel", "1", "--out", "kept", *ASKED)
        ran = strop(*words)
        assert (len(server.requests), strop(*words).code, len(server.requests)) == (4, 0, 4), "answers are kept"
    report = json.loads(ran.out)
    assert report == json.loads(Path("kept/parity.json").read_text())
    assert (report["a"]["digest_of"], report["b"]["digest_of"]) == ("weights", "served name")
    (task,) = report["tasks"]
    assert (task["answers_equal"], task["n"]) == (3, 4)
    (row,) = task["differing"]
    assert row["b"] == f"{row['a']} indeed"
    assert (row["character"], row["token"]) == (len(row["a"]), len(vlm.tokenizer.tokenize(row["a"])))
    assert task["log_probabilities"]["n"] == 3
    assert task["log_probabilities"]["largest_apart"] == pytest.approx(1.0, abs=1e-3)


def test_another_precision_is_another_backend_of_the_same_weights(strop: Strop, tiny: Path) -> None:
    report = json.loads(strop("parity", tiny, f"{tiny},dtype=bfloat16", *ASKED).out)
    assert report["a"]["digest"] == report["b"]["digest"]
    assert (report["a"]["dtype"], report["b"]["dtype"]) == ("float32", "bfloat16")


def test_stored_runs_are_compared_without_asking_anybody(strop: Strop, tmp_path: Path) -> None:
    write_run(tmp_path / "run", [[yes_no([1] * 60)], [yes_no([1] * 59 + [0])]])
    out = strop("parity", "run:0", "run:1").out
    assert "quiz, 60 samples: 60 answers and 59 marks are equal; accuracy 100.0 and 98.3, −1.7 [" in out
    assert out.rstrip().endswith("]: no more than noise")


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ("pictos-seed,dtyp=bfloat16", "pictos-seed,dtyp=bfloat16: 'dtyp=bfloat16' is no option of a model; write "
         "NAME,OPTION=VALUE with dtype"),
        ("pictos-seed,dtype=int8", "pictos-seed,dtype=int8: dtype is one of auto, float32, bfloat16, float16, not "
         "'int8'"),
        ("m,endpoint=http://localhost:1/v1,device=cpu", "--device is for a model that is loaded here; leave it away "
         "with an endpoint"),
        ("", "a side is empty; name stored results (a folder, a run, runs/demo:1), or a model's name with options "
         "behind commas, such as pictos-seed,dtype=bfloat16 or my/llava,endpoint=http://localhost:8000/v1"),
    ],
)  # fmt: skip
def test_a_side_that_is_none_is_told_with_what_it_could_be(strop: Strop, side: str, message: str) -> None:
    assert strop("parity", side, "pictos-seed", *ASKED).error() == message


def test_models_alone_need_tasks(strop: Strop) -> None:
    assert strop("parity", "pictos-seed", "pictos-peer").error() == "--tasks names no task; `strop tasks` lists them"

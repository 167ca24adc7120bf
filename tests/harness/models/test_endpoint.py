"""A served model answers as a loaded one does; what it answered before an outage is kept; its key is told nobody."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from harness.errors import OutageError, UsageError
from harness.judge import ModelJudge, ask_judge
from harness.models.endpoint import Endpoint
from harness.models.load import load_vlm
from harness.models.patience import Patience
from harness.results import read_results
from harness.store import Store, ask
from harness.types import Sample, Sampling
from strop.app import app, main
from tests.support.served import picture_of, prompt_of, served
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow

KEY = "sk-a-secret"

HASTY = Patience(first=0.001, tries=2)


def _samples(*prompts: str, images: tuple[Path, ...] = ()) -> list[Sample]:
    return [
        Sample(id=prompt, prompt=prompt, images=images, target="gold", cluster="", meta={"gold": 1})
        for prompt in prompts
    ]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "another")


# Asking ---------------------------------------------------------------------------------------------------------------


def test_a_request_holds_the_pixels_the_prompt_and_no_gold(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    with served(lambda _: " A cat. ") as server:
        endpoint = Endpoint("my/llava", server.url)
        samples = _samples("What is it?", images=(tmp_path / "noise.png",))
        assert endpoint.generate(samples, Sampling(max_tokens=16, seed=3)) == [["A cat."]]
    (request,) = server.requests
    assert np.array_equal(np.asarray(picture_of(request)), pixels)
    assert [piece["type"] for piece in request["messages"][0]["content"]] == ["image_url", "text"]
    assert prompt_of(request) == "What is it?"
    expected = {"model": "my/llava", "temperature": 0.0, "max_tokens": 16, "seed": 3}
    assert {name: value for name, value in request.items() if name != "messages"} == expected
    assert "gold" not in json.dumps(request)
    assert server.keys == {f"Bearer {KEY}"}


def test_answers_come_in_the_order_of_the_questions_and_draws_have_seeds_of_their_own() -> None:
    with served(lambda request: f"{prompt_of(request)} {request['seed']}") as server:
        endpoint = Endpoint("m", server.url, parallel=3)
        drawn = Sampling(n=2, temperature=1.0)
        answers = endpoint.generate(_samples(*"abcdefgh"), drawn)
        assert [[text[0] for text in texts] for texts in answers] == [[letter] * 2 for letter in "abcdefgh"]
        assert len({text for texts in answers for text in texts}) == 16
        assert Endpoint("m", server.url, parallel=1).generate(_samples(*"hg"), drawn) == answers[:-3:-1]
    assert endpoint.about["asked"] == 16


def test_silence_and_refusals_are_empty_answers_and_the_longest_are_counted() -> None:
    with served(lambda request: None if prompt_of(request) == "a" else "text") as server:
        server.ends = "length"
        endpoint = Endpoint("m", server.url)
        steps: list[int] = []
        assert endpoint.generate(_samples("a", "b"), Sampling(), steps.append) == [[""], ["text"]]
        assert (sum(steps), endpoint.about["asked"], endpoint.about["ended_at_max_tokens"]) == (2, 2, 2)


def _weighed(text: str, *tokens: tuple[str, float]) -> tuple[int, dict[str, Any]]:
    content = [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in tokens]
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "served"}
    return 200, {**body, "choices": [{**choice, "logprobs": {"content": content}}]}


def test_an_answers_log_probability_is_that_of_its_tokens_without_the_one_that_ends_it() -> None:
    replies = {
        "a": _weighed("Yes.", ("Yes", -1.0), (".", -0.5), ("</s>", -3.0)),
        "b": _weighed("No", ("Perhaps", -1.0)),
        "c": "Yes",
    }
    with served(lambda request: replies[prompt_of(request)]) as server:
        endpoint = Endpoint("m", server.url, weigh=True)
        endpoint.generate(_samples(*"abc"), Sampling())
        assert [request["logprobs"] for request in server.requests] == [True] * 3
    assert endpoint.log_probabilities == {((), "a"): -1.5}


def test_a_server_that_refuses_log_probabilities_is_asked_without() -> None:
    with served(lambda request: (400, {}) if "logprobs" in request else "Yes") as server:
        endpoint = Endpoint("m", server.url, weigh=True, parallel=1)
        assert endpoint.generate(_samples("a", "b"), Sampling()) == [["Yes"], ["Yes"]]
        assert ["logprobs" in request for request in server.requests] == [True, False, False]
    assert endpoint.log_probabilities == {}


def test_what_is_busy_is_asked_again() -> None:
    replies: list[Any] = [(503, {}), (429, {}), "Yes"]
    with served(lambda _: replies.pop(0)) as server:
        assert Endpoint("m", server.url).generate(_samples("a"), Sampling()) == [["Yes"]]


def test_the_digest_is_of_place_and_name() -> None:
    item = Endpoint("m", "http://localhost:8000/v1")
    assert item.digest == Endpoint("m", "https://localhost:8000/v1/", parallel=2).digest
    others = [
        Endpoint("n", item.url),
        Endpoint("m", "http://localhost:8001/v1"),
        Endpoint("m", "http://localhost:8000"),
    ]
    assert len({item.digest, *(other.digest for other in others)}) == 4


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000/v1",
        "ftp://host/v1",
        "http://",
        "http://[half/v1",
        "http://host:a/v1",
        "http://ho st/v1",
        "http://ö/v1",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is no http"):
        Endpoint("m", url)


@pytest.mark.parametrize("url", [f"http://me:{KEY}@host/v1", f"http://host/v1?key={KEY}", f"http://host/v1#{KEY}"])
def test_a_url_with_a_secret_in_it_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match="put the key into STROP_API_KEY") as caught:
        Endpoint("m", url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("wrong", ["sk-ä", "sk-a\nb"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("STROP_API_KEY", wrong)
    with pytest.raises(UsageError, match=r"^the key in STROP_API_KEY holds more than printable ASCII; set it again$"):
        Endpoint("m", "http://localhost:8000/v1")


def test_without_a_key_the_other_variable_counts_and_then_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_API_KEY", " ")
    with served(lambda _: "Yes") as server:
        Endpoint("m", server.url).generate(_samples("a"), Sampling())
        monkeypatch.delenv("OPENAI_API_KEY")
        Endpoint("m", server.url).generate(_samples("a"), Sampling())
    assert server.keys == {"Bearer another", "Bearer no-key-is-set"}


# Outages --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            (401, {"error": {"message": f"Bad key\n\x1b[2J{KEY}"}}),
            r"does not answer \(401: Bad key \[2J\*\*\*\); put its key into",
        ),
        ((404, {"error": {"message": "No model m"}}), r"\(404: No model m\); name a model that it serves"),
        ((400, {"error": {"message": "Too long"}}), r"does not take question a \(400: Too long\); change"),
        ((500, b"<html>"), r"does not answer \(500: Internal Server Error\); start it, or name another"),
        ((200, b"<html>"), r"\(what came back is no chat completion\)"),
        ((200, b"{"), r"\(what came back is no chat completion\)"),
        ((200, {"choices": []}), r"\(what came back is no chat completion\)"),
        ((200, {"choices": [{}]}), r"\(what came back is no chat completion\)"),
        ((200, []), r"\(what came back is no chat completion\)"),
    ],
)
def test_an_outage_names_endpoint_reason_and_remedy_in_one_line(text: Any, message: str) -> None:
    with served(lambda _: text) as server, pytest.raises(OutageError, match=message) as caught:
        Endpoint("m", server.url, patience=HASTY).generate(_samples("a"), Sampling())
    assert str(caught.value).startswith(f"endpoint {server.url}, model m: ")
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_server_that_is_not_there_is_named() -> None:
    with served(lambda _: "") as server:
        pass
    with pytest.raises(OutageError, match=r"does not answer \(.*[Cc]onnect.*\); start it"):
        Endpoint("m", server.url, patience=HASTY).generate(_samples("a"), Sampling())


def test_what_was_answered_before_an_outage_is_kept_and_the_rest_is_asked(tmp_path: Path) -> None:
    questions = _samples(*"abcdef")
    with served(lambda request: (401, {}) if prompt_of(request) == "d" else "Yes") as server:
        endpoint = Endpoint("m", server.url, parallel=1)
        with pytest.raises(OutageError):
            ask(endpoint, questions, Sampling(), Store(tmp_path / "answers.jsonl"))
        assert [prompt_of(sample) for sample in server.requests] == ["a", "b", "c", "d"], (
            "nobody is asked after an outage"
        )
        server.requests.clear()
        server.says = lambda _: "No"
        answers = ask(endpoint, questions, Sampling(), Store(tmp_path / "answers.jsonl"))
        assert [prompt_of(sample) for sample in server.requests] == ["d", "e", "f"]
    assert answers == [["Yes"]] * 3 + [["No"]] * 3


def test_one_question_that_is_not_taken_does_not_keep_the_others_from_being_asked() -> None:
    refusing = served(lambda request: (400, {}) if prompt_of(request) == "b" else "Yes")
    store = Store()
    with refusing as server, pytest.raises(OutageError, match="does not take question b"):
        ask(Endpoint("m", server.url), _samples("a", "b", "c"), Sampling(), store)
    assert list(store.answers.values()) == [["Yes"], ["Yes"]]


def test_a_judge_out_of_reach_gives_no_replies_and_is_left_in_peace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(lambda _: (401, {})) as server:
        judge = ModelJudge(name="j", model=Endpoint("j", server.url, parallel=1))
        questions = _samples(*map(str, range(200)))
        assert ask_judge(judge, questions, Store(tmp_path / "kept.jsonl")) == [None] * 200
        assert len(server.requests) == 1
        assert "does not answer (401: Unauthorized)" in caplog.text
        server.says = lambda request: None if prompt_of(request) == "1" else "said"
        assert ask_judge(judge, questions[:3], Store(tmp_path / "kept.jsonl")) == ["said", "", "said"]


# The command line -----------------------------------------------------------------------------------------------------


def _eval(url: str, out: Path, *more: str) -> list[str]:
    arguments = ["eval", "--model", "tiny", "--endpoint", url, "--tasks", "pictos_pope", "--limit", "6", "--out"]
    return [*arguments, str(out), *more]


def _texts(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_a_served_model_gives_the_figures_that_it_gives_when_loaded(tmp_path: Path) -> None:
    vlm = load_vlm("tiny", path=save_tiny(tmp_path / "tiny"), device="cpu")

    def says(request: dict[str, Any]) -> str:
        sample = Sample(
            id="", prompt=prompt_of(request), images=(lambda: picture_of(request),), target=None, cluster=""
        )
        return vlm.generate([sample], Sampling(max_tokens=request["max_tokens"]))[0][0]

    with served(says) as server:
        # one at a time: the model here is not made for threads
        done = CliRunner().invoke(app, _eval(server.url, tmp_path / "served", "--parallel", "1"))
    assert done.exception is None
    assert f"tiny is a name served at {server.url}, not weights; of 6 answers had now, 0 ended" in done.stdout
    loaded = ["eval", "--model", str(tmp_path / "tiny"), "--tasks", "pictos_pope", "--limit", "6"]
    assert CliRunner().invoke(app, [*loaded, "--out", str(tmp_path / "loaded")]).exception is None
    first, other = read_results(tmp_path / "served"), read_results(tmp_path / "loaded")
    assert first.tasks == other.tasks
    assert first.digest != other.digest
    about = {"url": server.url, "name": "tiny", "digest_of": "a served name, not weights"}
    counts = {"asked": 6, "ended_at_max_tokens": 0, "spent": "600 prompt and 60 generated tokens"}
    assert first.provenance["model"] == {**about, **counts}
    assert other.provenance["model"] == {
        "digest_of": "weights", "device": other.provenance["model"]["device"], "dtype": "float32",
        "attn_implementation": "sdpa", "pictures": "whole", "prefix": "shared prefix",
    }  # fmt: skip
    assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in done.output + _texts(tmp_path / "served")


def test_an_outage_ends_the_command_in_one_line_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(url: str) -> int | str | None:
        monkeypatch.setattr(sys, "argv", ["strop", *_eval(url, tmp_path / "out", "--parallel", "1")])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    replies: list[Any] = ["Yes", "No", (401, {"error": {"message": f"no such key: {KEY}"}})]
    with served(lambda _: replies.pop(0)) as server:
        assert run(server.url) == 2
        shown = capsys.readouterr()
        (line,) = shown.err.strip().splitlines()
        assert line.startswith(f"error: endpoint {server.url}, model tiny: does not answer (401: no such key: ***);")
        assert line.endswith(
            f"; 2 answers are kept in {tmp_path}/out/answers.jsonl, the same command goes on from there"
        )
        assert not (tmp_path / "out/results.json").exists()
        server.requests.clear()
        server.says = lambda _: "Yes"
        assert run(server.url) == 0
        assert len(server.requests) == 4
    assert KEY not in shown.out + shown.err + _texts(tmp_path / "out")


@pytest.mark.parametrize("more", [("--adapter", "lora"), ("--device", "cpu")])
def test_options_of_a_loaded_model_are_refused(tmp_path: Path, more: Sequence[str]) -> None:
    done = CliRunner().invoke(app, _eval("http://localhost:1/v1", tmp_path / "out", *more))
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == f"{more[0]} is for a model that is loaded here; leave it away with an endpoint"

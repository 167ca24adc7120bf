"""Where a figure comes from is told, secrets are not, and the digest of the data is of what was asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.provenance import data_digest, hardware, masked, provenance
from harness.types import Sample


def test_the_machine_is_told() -> None:
    machine = hardware()
    assert list(machine) == ["cpu", "cores", "usable_cores", "threads", "gpus", "memory_gib"]
    assert machine["cpu"]
    assert 1 <= machine["usable_cores"] <= machine["cores"]
    assert machine["memory_gib"] > 0


def test_threads_and_gpus_are_those_of_torch_and_nobody_loads_it_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Torch:
        class cuda:
            device_count = staticmethod(lambda: 2)
            get_device_name = staticmethod(lambda number: f"GPU {number}")

        get_num_threads = staticmethod(lambda: 3)

    monkeypatch.setitem(sys.modules, "torch", Torch)
    assert (hardware()["threads"], hardware()["gpus"]) == (3, ["GPU 0", "GPU 1"])
    monkeypatch.delitem(sys.modules, "torch")
    assert (hardware()["threads"], hardware()["gpus"]) == (None, [])
    assert "torch" not in sys.modules


def test_a_package_that_is_run_as_a_module_is_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/strop/__main__.py", "tasks"])
    assert provenance()["command"] == ["strop", "tasks"]


def test_the_command_its_folder_and_its_variables_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/strop", "eval", "--api-key", "abc", "--out", "runs/a"])
    monkeypatch.setenv("STROP_DATA", "mine")
    monkeypatch.setenv("STROP_API_KEY", "abc")
    record = provenance()
    assert record["command"] == ["strop", "eval", "--api-key", "***", "--out", "runs/a"]
    assert record["folder"] == str(tmp_path)
    assert (record["environment"]["STROP_DATA"], record["environment"]["STROP_API_KEY"]) == ("mine", "***")
    assert {"commit", "dirty", "versions", "python", "machine", "hardware"} <= set(record)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--api-key", "abc"], ["--api-key", "***"]),
        (["--api-key=abc"], ["--api-key=***"]),
        (["--set", "optimise.trl.hub_token=abc def"], ["--set", "optimise.trl.hub_token=***"]),
        (["optimise.trl={hub_token: abc, seed: 1}"], ["optimise.trl={hub_token: ***, seed: 1}"]),
        (["--model", "hf_abcdefghijklmnop"], ["--model", "***"]),
        (["https://me:abc@host/v1?key=abc&n=1"], ["https://***@host/v1?key=***&n=1"]),
        (["--set", "collect.max_tokens=64", "monkey=3"], ["--set", "collect.max_tokens=64", "monkey=3"]),
        (["--model", "pictos-seed", "--sha256", "images.zip=" + "0" * 64],) * 2,
    ],
)
def test_secrets_are_hidden_and_nothing_else(words: Sequence[str], shown: Sequence[str]) -> None:
    assert masked(words) == shown


@given(st.text(st.characters(exclude_characters=",}&\"'\n"), min_size=8).map(lambda text: "§" + text))
def test_no_value_of_a_secret_option_is_kept(secret: str) -> None:
    for words in (["--api-key", secret], [f"--token={secret}"], [f"a.b_password={secret}"]):
        assert secret not in " ".join(masked(words))


def _sample(number: int, **changed: Any) -> Sample:
    fields: dict[str, Any] = {"prompt": "Is it a cat?", "images": (), "target": "yes", "cluster": "scene"}
    return Sample(id=str(number), **{**fields, **changed})


@dataclass(frozen=True)
class Gold:
    names: frozenset[str]
    hidden: object


def test_the_datas_digest_does_not_depend_on_order_nor_on_where_an_object_lies() -> None:
    names = ["cat", "dog", "cup", "car"]
    item = [_sample(n, target=Gold(frozenset(names), object())) for n in range(3)]
    other = [_sample(n, target=Gold(frozenset(reversed(names)), object())) for n in (2, 0, 1)]
    assert data_digest(item) == data_digest(other)


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "Is it a dog?"},
        {"target": "no"},
        {"cluster": "other"},
        {"meta": {"group": "popular"}},
        {"images": (Path("cat.png"),)},
    ],
)
def test_the_datas_digest_changes_with_what_was_asked(changed: dict[str, Any]) -> None:
    assert data_digest([_sample(1)]) != data_digest([replace(_sample(1), **changed)])
    assert data_digest([_sample(1)]) != data_digest([_sample(1), _sample(2)])


def test_a_picture_is_known_by_name_and_size_wherever_it_lies(tmp_path: Path) -> None:
    digests = []
    for folder, content in (("a", b"1234"), ("b", b"5678"), ("c", b"12345")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cat.png").write_bytes(content)
        digests.append(data_digest([_sample(1, images=(tmp_path / folder / "cat.png",))]))
    assert digests[0] == digests[1] != digests[2]

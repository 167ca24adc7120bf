"""`strop run judge_free --model FOLDER` hones a model of any family: two rounds by an encoder, each measured, on a
board."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.files import read_jsonl
from harness.results import read_results
from tests.support.families import FAMILIES
from tests.support.shell import Strop

pytestmark = pytest.mark.slow

SMALL = {
    "collect.samples": 4,
    "collect.max_tokens": 8,
    "collect.unfinished": "keep",  # random weights speak until they are stopped
    "collect.max_unfinished": 1,
    "select.keep": 1.0,
    "optimise.trl.per_device_train_batch_size": 2,
    "optimise.trl.learning_rate": 1e-3,
    "evaluate.tasks": "[pictos_captions]",
    "watch": "null",
    "evaluate.limit": 2,
    "evaluate.max_tokens": 8,
    "evaluate.filter": "false",
}
STAGES = ["round-0/eval", *(f"round-{n}/{name}" for n in (1, 2)
                            for name in ("collect", "verify", "select", "optimise", "eval"))]  # fmt: skip


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "gemma3", "smolvlm", "internvl", "paligemma"])
def test_two_rounds_of_a_random_member_end_on_a_board(strop: Strop, family: str, tmp_path: Path) -> None:
    folder = FAMILIES[family]().save(tmp_path / family)
    changes = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    ran = strop("run", "judge_free", "--model", folder, "--out", tmp_path / "run", *changes)
    assert ran.code == 0, ran.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == STAGES
    digests = [read_results(tmp_path / "run" / f"round-{number}" / "eval").digest for number in (0, 1, 2)]
    assert len(set(digests)) == 3
    for number in (1, 2):
        assert read_jsonl(tmp_path / "run" / f"round-{number}" / "select" / "pairs.jsonl")
    assert strop("board", tmp_path / "run", "--out", tmp_path / "board").code == 0
    board = (tmp_path / "board" / "board.md").read_text()
    assert all(digest[:12] in board for digest in digests)

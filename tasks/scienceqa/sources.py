"""Whose data ScienceQA needs, under which licence, and where they come from."""

from __future__ import annotations

from tasks.data.hub import HubSource
from tasks.data.sources import LLAVA_EVALUATION, Source

_SCIENCEQA = "CC BY-NC-SA 4.0"

HUB = HubSource(
    id="derek-thomas/ScienceQA",
    revision="f18b0a70359ebfb41f658fd564208d0355b013f4",
    files="data/test-*.parquet",
    picture="image",
    columns=("question", "choices", "answer", "hint", "grade", "subject"),
)

SOURCES = (
    Source(
        task="scienceqa",
        file="llava_test_CQM-A.json",
        about="questions of the test split in LLaVA's prompt",
        origin=f"{LLAVA_EVALUATION}scienceqa/",
        licence=f"Apache-2.0; questions {_SCIENCEQA}",
        sha256="a2dc5ea9fba561b0d0d8ecc80e688d3b0e1ff308e06c4f4f94cff86b20ec2f0a",
        needed=True,
    ),
    Source(
        task="scienceqa",
        file="problems.json",
        about="questions of all splits, with subject and grade",
        origin="lupantech/ScienceQA 2cbf8318, data/scienceqa/",
        licence=_SCIENCEQA,
        instead_of="llava_test_CQM-A.json",
    ),
    Source(
        task="scienceqa",
        file="pid_splits.json",
        about="which questions are the test split",
        origin="lupantech/ScienceQA 2cbf8318, data/scienceqa/",
        licence=_SCIENCEQA,
        sha256="85c7820b9f136e572579a01dab2c77a7f8140b59211e421fa5182491d45ee3a7",
    ),
    Source(
        task="scienceqa",
        file="test.zip",
        about="pictures, to ask a model",
        origin="lupantech/ScienceQA 2cbf8318, fetched by its tools/download.sh",
        licence=_SCIENCEQA,
        unpacked="test/*/*.png",
    ),
    Source(
        task="scienceqa",
        file="train.zip",
        about="pictures of the split train, which is a training pool with problems.json",
        origin="lupantech/ScienceQA 2cbf8318, fetched by its tools/download.sh",
        licence=_SCIENCEQA,
        unpacked="train/*/*.png",
    ),
)

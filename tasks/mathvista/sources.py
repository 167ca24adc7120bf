"""Whose data MathVista needs, under which licence, and where they come from."""

from __future__ import annotations

from tasks.data.hub import HubSource
from tasks.data.sources import Source

HUB = HubSource(
    id="AI4Math/MathVista",
    revision="2b6ad69445fbb5695c9b165475e8decdbeb97747",
    files="data/testmini-*.parquet",
    picture="decoded_image",
    columns=("pid", "query", "question", "image", "choices", "precision", "answer", "question_type", "answer_type",
             "metadata"),
)  # fmt: skip

SOURCES = (
    Source(
        task="mathvista",
        file="testmini.json",
        about="questions, for outputs that do not hold their own",
        origin="lupantech/MathVista 53d52587, data/",
        licence="CC BY-SA 4.0; for testing only, not for training",
        sha256="ab0148dca9d401c31cc47f29b3826eec28a76ff155a1c0878d81e8daf0413480",
        needed=True,
    ),
    Source(
        task="mathvista",
        file="query.json",
        about="prompts, the hint first, to ask a model",
        origin="lupantech/MathVista 53d52587, data/",
        licence="CC BY-SA 4.0; for testing only, not for training",
        sha256="a2d173eafbadc7fec6f6d101822723debcbde06bd23a754ebdfc92e229161421",
    ),
    Source(
        task="mathvista",
        file="images.zip",
        about="pictures, to ask a model",
        origin="AI4Math/MathVista on the hub",
        licence="CC BY-SA 4.0; each picture that of its data set",
        unpacked="images/*.jpg",
    ),
)

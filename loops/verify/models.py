"""The vision-language models that verifiers ask: the judged model itself, or another by its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.models.card import read_card
from harness.models.weights import model_digest, model_folder
from harness.store import Store
from loops.kinds import Study

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

SELF = "self"
"""Names the model that is judged: the one that a round starts from, whose answers these are."""


def judge_folder(study: Study, name: str) -> Path:
    """Where the model lies that a verifier calls by this name; raises `ModelError`."""
    if name == SELF:
        return study.policy.path if study.policy else study.seed_folder
    return study.setting.shipped(name) or model_folder(study.setting.pinned(name))


def judge_digest(study: Study, name: str) -> str:
    """Of its weights; of a model that is still to be trained, what stands for it in a plan."""
    if name == SELF and study.policy:
        return study.policy.digest
    return model_digest(judge_folder(study, name))


def is_judged(study: Study, name: str) -> bool:
    """Whether a model that is called by a name of its own has the weights of the one that is judged or honed."""
    if name == SELF:
        return False
    digest = judge_digest(study, name)
    return digest == model_digest(study.seed_folder) or (study.policy is not None and digest == study.policy.digest)


def gold_of(study: Study, name: str) -> Sequence[str]:
    """The tasks from whose right answers a model learnt, by the card beside it (`harness.models.card`); the judged
    model's own are no news of its judge."""
    return () if name == SELF else read_card(judge_folder(study, name)).gold_of


def load_judge(study: Study, name: str) -> Vlm:
    """The model, asked as the recipe says that the honed one is."""
    return study.load_model(judge_folder(study, name), name=study.model if name == SELF else name)


def replies_of(study: Study) -> Store:
    """What models told verifiers in this run; in memory where the setting names no file."""
    return Store(study.setting.replies)

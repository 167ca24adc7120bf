"""One small question to a model just loaded: one that cannot be asked is told before any data are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from harness.errors import ModelError
from harness.models.loading import model_errors
from harness.types import Sample, Sampling

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


def refuse_unusable(vlm: Vlm) -> None:
    """Raise `ModelError`, with the reason and the remedy, where the model does not answer about a picture.

    Costs one pass over a prompt; `Vlm.costs` counts from here on.
    """
    _refuse_other_halves(vlm.name, vlm.processor, vlm.model)
    sample = Sample(id="probe", prompt="What do you see?", images=(_picture,), target=None, cluster="")
    with model_errors(
        f"{vlm.name}: its chat template cannot write a question; restore it from where the model came from"
    ):
        tokens = vlm.reader.prompt(sample)
    rows = vlm.model.get_input_embeddings().weight.shape[0]
    if (highest := max(tokens, default=0)) >= rows:
        raise ModelError(
            f"{vlm.name}: token {highest} ({vlm.tokenizer.convert_ids_to_tokens(highest)}) of its chat template is "
            f"beyond the model's {rows} embeddings; the tokenizer belongs to another model"
        )
    with model_errors(
        f"{vlm.name}: does not answer about a picture; patch_size, num_additional_image_tokens, "
        "vision_feature_select_strategy and the picture size of its processor must be those of the vision tower in "
        "config.json"
    ):
        vlm.generate([sample], Sampling(max_tokens=1))
    for name in vlm.costs:
        vlm.costs[name] = 0


def _refuse_other_halves(name: str, processor: Any, model: Any) -> None:
    """Raise `ModelError` where processor, tokenizer and config.json are not of one model, or a part is not there."""
    if not processor.chat_template:
        raise ModelError(
            f"{name}: has no chat template, so no question can be written for it; put chat_template.jinja beside its "
            "weights"
        )
    patch = getattr(model.config.vision_config, "patch_size", "that of the vision tower")
    if processor.patch_size is None:
        raise ModelError(
            f"{name}: its processor does not say patch_size, so nobody knows how many tokens a picture takes; set it "
            f"in processor_config.json to {patch}"
        )
    token, vocabulary = processor.image_token, processor.tokenizer.get_vocab()
    if vocabulary.get(token) != processor.image_token_id:
        raise ModelError(
            f"{name}: its tokenizer has no token '{token}' for pictures; restore tokenizer.json and "
            "tokenizer_config.json from where the model came from"
        )
    if model.config.image_token_index != processor.image_token_id:
        raise ModelError(
            f"{name}: '{token}' is token {processor.image_token_id} of its tokenizer, but config.json says "
            f"image_token_index {model.config.image_token_index}; the two belong to different models"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    special = {added.content for added in processor.tokenizer.added_tokens_decoder.values()}
    if beyond := sorted(text for text, number in vocabulary.items() if number >= rows and text not in special):
        raise ModelError(
            f"{name}: its tokenizer has {len(beyond)} tokens, such as '{beyond[0]}', beyond the model's {rows} "
            "embeddings; it belongs to another model"
        )


def _picture() -> Image.Image:
    """Grey, wider than high."""
    return Image.new("RGB", (48, 32), (128, 128, 128))

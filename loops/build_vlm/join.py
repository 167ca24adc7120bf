"""A pretrained vision tower and a pretrained language model in transformers' LLaVA class, joined by a new projector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from harness.errors import ModelError
from harness.models.loading import model_errors, quiet

IMAGE_TOKEN = "<image>"

LAYER = -1
"""The tower's hidden state that is projected, before its last norm: the projector's first map norms it (`fit`)."""

FLATTEN = (
    "{%- set flat = namespace(messages=[]) -%}{%- for message in messages -%}"
    "{%- set turn = namespace(text='') -%}"
    "{%- if message['content'] is string -%}{%- set turn.text = message['content'] -%}{%- else -%}"
    "{%- for entry in message['content'] -%}{%- if entry['type'] == 'image' -%}"
    "{%- set turn.text = turn.text + '<image>' -%}"
    "{%- else -%}{%- set turn.text = turn.text + entry['text'] -%}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{%- set flat.messages = flat.messages + [dict(role=message['role'], content=turn.text)] -%}"
    "{%- endfor -%}{%- set messages = flat.messages -%}"
)
"""Goes before a language model's chat template, which knows text alone: pictures become their token, parts one text."""

PLAIN = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
"""The chat template of a language model that has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """A LLaVA model whose projector is new, and its processor."""

    model: Any
    processor: Any


def join(tower: Path, language_model: Path, *, side: int | None = None, seed: int = 0) -> Joined:
    """The two parts as one model. `side`: pixels to which pictures are resized, both sides; None: as the tower's own
    processor has them. Raises `ModelError` for parts that do not load or cannot be joined."""
    quiet()
    eye, image_processor = load_tower(tower, side)
    with model_errors(f"{language_model}: does not load as a language model; name another"):
        words = AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.float32, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(language_model)
    tokenizer.add_tokens([AddedToken(IMAGE_TOKEN, special=True, normalized=False)], special_tokens=True)
    image_token = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    if len(tokenizer) > words.get_input_embeddings().weight.shape[0]:
        words.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    patches, others = _tokens(eye, image_processor)
    config = LlavaConfig(
        vision_config=eye.config,
        text_config=words.config,
        image_token_index=image_token,
        image_seq_length=patches,
        vision_feature_layer=LAYER,
        vision_feature_select_strategy="default" if others == 1 else "full",
        tie_word_embeddings=words.config.tie_word_embeddings,
    )
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    model.model.vision_tower = eye
    model.model.language_model = words.base_model
    model.lm_head = words.get_output_embeddings()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.model.multi_modal_projector = LlavaMultiModalProjector(config)
    model.generation_config = GenerationConfig(
        eos_token_id=words.generation_config.eos_token_id,
        bos_token_id=words.generation_config.bos_token_id,
        pad_token_id=words.generation_config.pad_token_id,
    )
    processor = LlavaProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        patch_size=eye.config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=others,
        image_token=IMAGE_TOKEN,
        chat_template=FLATTEN + (tokenizer.chat_template or PLAIN),
    )
    return Joined(model=model.eval(), processor=processor)


def fit(model: Any, features: torch.Tensor) -> None:
    """Start the projector where it norms what it sees and writes vectors of the length of words.

    `features`: some patches of the tower, (n, d). The first map takes each number's mean off and divides by its spread;
    the second is scaled so that the projected patches spread as word embeddings do.
    """
    projector = model.model.multi_modal_projector
    mean, spread = features.mean(0), features.std(0).clamp_min(1e-6)
    words = model.get_input_embeddings().weight
    with torch.no_grad():
        projector.linear_1.weight.normal_(0, features.shape[1] ** -0.5).div_(spread)
        projector.linear_1.bias.copy_(-projector.linear_1.weight @ mean)
        projector.linear_2.bias.zero_()
        projector.linear_2.weight.mul_(words.std() / projector(features).std())


def load_tower(folder: Path, side: int | None) -> tuple[Any, Any]:
    """(the vision tower in a folder, its image processor); of a picture-text model the picture's half."""
    with model_errors(f"{folder}: does not load as a vision tower; name another"):
        config = AutoConfig.from_pretrained(folder)
        config = getattr(config, "vision_config", config)
        tower = AutoModel.from_pretrained(folder, config=config, dtype=torch.float32, use_safetensors=True)
    if not hasattr(tower.config, "patch_size"):
        raise ModelError(
            f"{folder}: a {tower.config.model_type} has no patches; name a ViT, CLIP, SigLIP or DINO tower"
        )
    with model_errors(f"{folder}: its picture settings do not load; restore preprocessor_config.json"):
        image_processor = AutoImageProcessor.from_pretrained(folder)
    if side is not None:
        if side % tower.config.patch_size:
            raise ModelError(f"--side {side}: is no multiple of the tower's patch of {tower.config.patch_size} pixels")
        image_processor.size = {"height": side, "width": side}
        image_processor.do_center_crop = False
    return tower.eval(), image_processor


def load_sentences(folder: Path) -> Any:
    """The encoder of sentences in a folder: a language model that reads both ways."""
    return AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()


@torch.inference_mode()
def _tokens(tower: Any, image_processor: Any) -> tuple[int, int]:
    """(how many patches the tower makes of a picture, how many of its tokens are none: class token, registers)."""
    from PIL import Image

    pixels = image_processor([Image.new("RGB", (64, 64))], return_tensors="pt")["pixel_values"]
    with model_errors("the vision tower: does not see a picture of its processor's size; set --side"):
        seen = tower(pixels).last_hidden_state.shape[1]
    patch = tower.config.patch_size
    patches = (pixels.shape[-2] // patch) * (pixels.shape[-1] // patch)
    if seen < patches:
        raise ModelError(f"the vision tower: gives {seen} tokens for {patches} patches; name another")
    return patches, seen - patches

"""A byte-level tokenizer of a few sentences with whatever special tokens a family has, and a plain chat template."""

from __future__ import annotations

from collections.abc import Mapping

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

SENTENCES = (
    "user: what is in this picture? answer: a red square and a blue circle.",
    "is there a green triangle in the picture? yes no",
    "describe the picture in detail. how many shapes are there? one two three four",
    "the quick brown fox jumps over the lazy dog while the sun shines on the hill",
    "assistant: there are two circles next to a yellow square on the left side",
)

PLAIN = ("<pad>", "<s>", "</s>", "<unk>")
MERGES = 100


def vocabulary(*special: str, **tokens: str) -> PreTrainedTokenizerFast:
    """A tokenizer with special tokens, and with those that a processor asks for as attributes (`image_token=...`)."""
    core = Tokenizer(BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    core.decoder = decoders.ByteLevel()
    spellings = [*PLAIN, *special, *(token for token in tokens.values() if token not in special)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=len(alphabet) + MERGES + len(spellings),
        special_tokens=spellings,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    core.train_from_iterator(SENTENCES * 3, trainer)
    words = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=dict(tokens), padding_side="left", clean_up_tokenization_spaces=False,
    )  # fmt: skip
    if others := [spelling for spelling in special if spelling not in words.all_special_tokens]:
        words.add_special_tokens({"additional_special_tokens": others}, replace_extra_special_tokens=False)
    return words


def template(picture: str, *, bos: str = "{{ bos_token }}", close: str = "</s>") -> str:
    """A chat template that writes `picture` for a picture and ends each answer with `close`."""
    return (
        bos + "{% for m in messages %}{{ m['role'] + ':\\n' }}"
        "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}{{ '" + picture + "' }}"
        "{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
        "{% if m['role'] == 'assistant' %}{{ '" + close + "' }}{% endif %}{{ '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant:\\n' }}{% endif %}"
    )


def numbers(words: PreTrainedTokenizerFast, **spellings: str) -> Mapping[str, int]:
    """The ids of some tokens, by the names that a config has for them."""
    return {name: words.convert_tokens_to_ids(spelling) for name, spelling in spellings.items()}


def ends(words: PreTrainedTokenizerFast) -> Mapping[str, int]:
    """The ids that every text config names."""
    return {"pad_token_id": words.pad_token_id, "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}

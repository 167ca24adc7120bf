"""Where a model's answer ends and what it must not say: its own generation settings, as its files hold them.

A greedy answer here is the one that transformers' ``model.generate(do_sample=False, num_beams=1)`` gives, and ends at
the same tokens. How answers are drawn (``do_sample``, ``temperature``, ``top_p``, ``num_beams``) and how long they may
be is the task's and the recipe's affair; settings of these names are not read.
"""

from __future__ import annotations

from typing import Any


def stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer: the tokenizer's end token and all that generation_config.json and config.json
    name, the language model's part of it included.

    A number there that nobody wrote, the default of a configuration class (Llama's 2 is an ordinary word of other
    tokenizers), counts only where it is a special token.
    """
    config, words = model.config, model.config.get_text_config()
    generation = model.generation_config
    written = {tokenizer.eos_token_id, *_ids(getattr(config, "eos_token_id", None))}
    defaults = set(_ids(getattr(words, "eos_token_id", None)))
    own = defaults - set(_ids(getattr(type(words)(), "eos_token_id", None))) if words is not config else defaults
    of_generation = set(_ids(generation.eos_token_id))
    if getattr(generation, "_from_model_config", False):  # there is no such file, or it was made of config.json
        of_generation -= defaults - own
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    stop = written | own | of_generation | defaults & special
    return frozenset(stop - {None})


def _ids(value: Any) -> list[int]:
    """The numbers that a setting names: none, one or several; raises `ValueError` for what is no number."""
    values = [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
    if any(not isinstance(token, int) or isinstance(token, bool) for token in values):
        raise ValueError(f"eos_token_id {value!r} is no number of a token, nor a list of such")
    return values

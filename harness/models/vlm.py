"""Vision-language models of transformers, asked so that questions about one picture share its work.

The picture's prefix (its features and the key-value cache of everything up to its last token) is computed once and
branched for each question and each draw. The same branches carry mixes of two passes (`harness.models.mixing`): beside
each row runs a twin, whose text was never computed with that picture. Sampling draws from a stream of numbers of its
own for each sample, so that no answer depends on which others are in its batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch

from harness.errors import ModelError
from harness.files import digest_of_json
from harness.models.branches import PREFIXES, WHOLE, Branching, Lanes, Prefix
from harness.models.draws import inverse, stream_seed, uniforms
from harness.models.flops import ESTIMATED_FLOPS, weights_of
from harness.models.generation import processing_of
from harness.models.heads import Head, Heads, framing_tokens
from harness.models.hiding import Sight, hidden_from, layers_of
from harness.models.loading import computed_by
from harness.models.mixing import Mix, mixed
from harness.models.options import ModelOptions
from harness.models.prefill import AnswerRow, Prefill
from harness.models.prompts import prompt_reader
from harness.models.stopping import stop_tokens
from harness.models.streams import in_order
from harness.models.thinking import ThoughtBudget, text_with_tags, thought_tags
from harness.sentences import sentence_spans
from harness.thoughts import tags_of
from harness.types import Advance, Answer, AnswerStream, Sample, Sampling

DECODING_VERSION = 3
"""Raised when this module would decode another answer from the same model, sample and sampling."""

BATCH = 192
"""Rows that are decoded together, until memory runs out."""

COSTS = ("forward_passes", "forward_tokens", "picture_tokens", "twin_tokens", "generated_tokens", ESTIMATED_FLOPS)
"""What `Vlm.costs` counts: passes through the language model; tokens that they read, padding left out; how many of
these are pictures', and how many the twins'; tokens that were decoded; and operations (`harness.models.flops`)."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Rows whose prompts are read: `logits` (lanes, longest lead + 1, vocabulary) behind the prompt and each token of
    the lead, on the right; twins are the lanes behind the rows."""

    rows: list[AnswerRow]
    heads: Heads
    logits: torch.Tensor
    lanes: Lanes


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """An answer in tokens: those of its prompt, the picture's among them, and those that were decoded behind it, with
    the one that ended it where one did."""

    answer: Answer
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]


class Vlm:
    """A model, its processor, and the digest of its weights.

    `costs` counts what was done since the model was loaded (`COSTS`); `batch` is how many rows are decoded
    together, halved by itself when memory runs out; `frame` is how pictures are shown; `prefix` is what questions about
    one picture share. `answered` and `cut` count the answers that `stream` gave: all, and those that ended at
    `max_tokens`.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        name: str,
        digest: str,
        device: str,
        options: ModelOptions = ModelOptions(),
        origins: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.model, self.processor, self.name, self.digest, self.device = model, processor, name, digest, device
        self.tokenizer = processor.tokenizer
        self.options, self.origins = options, origins
        self.processing = processing_of(model, name, options.generation_config)
        self.reader = prompt_reader(
            model.config, processor, options.pictures, system=options.system, thinking=options.thinking
        )
        self.frame = self.reader.frame
        self.branching = Branching(model, filler=self.reader.filler)
        self.prefix: Prefix = self.prefixes[0]
        self.batch = BATCH
        self.answered = self.cut = 0
        self.costs, self.weights = Counter(dict.fromkeys(COSTS, 0)), weights_of(model)
        self.stop = set(stop_tokens(model, self.tokenizer))
        self.framing = self.reader.picture_tokens | framing_tokens(model.config)
        self._tags = tags_of([processor.chat_template or "", options.system or ""], self.tokenizer.get_vocab())
        # a picture's token in an answer would ask for a picture, and one without a name is no text
        unwritten = {*self.reader.picture_tokens, *range(len(self.tokenizer), self._width)} - self.stop
        # `generate` lets a greedy answer hold special tokens; drawn by chance they would only be markup gone astray
        special = {*self.tokenizer.all_special_ids, *self.framing} - self.stop - self._tag_tokens
        self._ends = self._columns(self.stop)
        self._unwritten, self._undrawn = self._columns(unwritten), self._columns(unwritten | special)

    @property
    def prefixes(self) -> Sequence[Prefix]:
        """What its questions may share, the best first."""
        return WHOLE if self.reader.suffixes else PREFIXES

    @property
    def _tag_tokens(self) -> set[int]:
        """The tokens of a thought's tags."""
        tags = (self._tags.opening, self._tags.closing) if self._tags else ()
        return {token for tag in tags for token in self.tokenizer(tag, add_special_tokens=False).input_ids}

    @property
    def words(self) -> int:
        """How many tokens the model has embeddings of; pictures' own may lie beyond."""
        embeddings = self.model.get_input_embeddings()
        return int(embeddings.num_embeddings if hasattr(embeddings, "num_embeddings") else self._width)

    @property
    def _width(self) -> int:
        """How many tokens the model's head tells apart; a tokenizer may have more, or fewer."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    def _columns(self, tokens: Collection[int]) -> torch.Tensor:
        """The columns of the logits that belong to some tokens."""
        columns = sorted(token for token in tokens if 0 <= token < self._width)
        return torch.tensor(columns, dtype=torch.long, device=self.device)

    @property
    def computed(self) -> Mapping[str, str]:
        """Where its answers are computed, how precisely, and by which attention."""
        return {"device": self.device, **computed_by(self.model)}

    @property
    def about(self) -> Mapping[str, Any]:
        """What results say of where the answers come from."""
        return {
            "digest_of": "weights",
            **self.origins,
            **self.computed,
            "pictures": self.frame.sight,
            "prefix": self.prefix,
            **self.options.spoken,
            **({"end_bias": self.options.end_bias} if self.options.end_bias else {}),
            **self.processing.about,
        }

    @property
    def settings(self) -> str:
        """Digest of what turns a sample into an answer beside the model's own files: chat template, vocabulary and
        picture settings as they were loaded, how pictures are shown, the precision of the weights, the version of the
        decoding code, and the user's options that are none of these."""
        image_processor = {k: v for k, v in self.processor.image_processor.to_dict().items() if "name" not in k}
        pictures = [image_processor, self.frame.pictures]
        precision = str(self.model.dtype)
        others = {name: value for name, value in self.options.off_default.items() if name not in ("dtype", "pictures")}
        return digest_of_json(
            [self.processor.chat_template, pictures, len(self.tokenizer), precision, DECODING_VERSION]
            + ([others] if others else [])  # keys of answers that were kept before stay
        )

    @contextmanager
    def pictures_hidden(self, first: float, last: float) -> Iterator[None]:
        """Within it, no token of text attends to a picture in the layers from `first` to `last` of the language model's
        depth, both shares. Raises `ModelError` for a model whose layers do not allow it."""
        layers = layers_of(self.model, self.name)
        numbers = range(round(first * len(layers)), round(last * len(layers)))
        self.branching.sight = Sight(self.reader.picture_tokens)
        try:
            with hidden_from(layers, numbers, self.name, self.branching.sight):
                yield
        finally:
            self.branching.sight = None

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        """`sampling.n` answers to each sample, each sample's as soon as its last one has ended."""
        for index, drawn in self._answered(samples, sampling, None):
            self.answered += len(drawn)
            self.cut += sum(not row.answer.finished for row in drawn)
            yield index, [row.answer.text for row in drawn]

    def generate(
        self, samples: Sequence[Sample], sampling: Sampling, advance: Advance | None = None
    ) -> list[list[str]]:
        """`sampling.n` answers to each sample, in the samples' order."""
        return in_order(self.stream(samples, sampling), advance)

    def hallucinate(
        self,
        samples: Sequence[Sample],
        how: Sequence[Mix],
        sampling: Sampling,
        advance: Advance | None = None,
    ) -> list[str]:
        """One answer to each sample by a mix of two passes; an answer begins with its `lead`."""
        return [row[0].text for row in self.answers(samples, sampling, how, advance)]

    @torch.inference_mode()
    def log_likelihood(self, samples: Sequence[Sample], continuations: Sequence[str]) -> list[tuple[float, bool]]:
        """(log-probability of the continuation after the sample's prompt, whether it is the greedy one)."""
        likelihoods: dict[int, tuple[float, bool]] = {}
        for index, row, _, log_probs in self._weighed(samples, continuations):
            targets = torch.tensor(row.lead, device=self.device)
            total = log_probs.gather(1, targets[:, None]).sum()
            likelihoods[index] = float(total), bool((log_probs.argmax(-1) == targets).all())
        return [likelihoods[index] for index in range(len(samples))]

    @torch.inference_mode()
    def sentence_log_likelihoods(
        self, samples: Sequence[Sample], answers: Sequence[str], advance: Advance | None = None
    ) -> list[list[float]]:
        """For each answer the log-probability (natural logarithm, summed over tokens) of each of its sentences, as
        `harness.sentences` cuts them, given pictures, prompt and the sentences before it: how sure the model is of it.
        """
        likelihoods: list[list[float]] = [[] for _ in samples]
        for index, row, head, log_probs in self._weighed(samples, answers):
            answer = answers[index]
            spans = sentence_spans(answer)
            sums = [0.0] * len(spans)
            if row.lead:
                tokens = torch.tensor(row.lead, device=self.device)
                values = log_probs.gather(1, tokens[:, None])[:, 0].tolist()
                ends = self.reader.answer_ends(samples[index], answer, head)
                for end, value in zip(ends, values, strict=True):
                    sentence = next((n for n, span in enumerate(spans) if end <= span[1]), len(spans) - 1)
                    sums[sentence] += value
            likelihoods[index] = sums
            if advance:
                advance(1)
        return likelihoods

    def answers(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Mix] | None = None,
        advance: Advance | None = None,
    ) -> list[list[Answer]]:
        """As `generate`, or as `hallucinate` where `how` is given, with whether each answer ended by itself."""
        drawn = in_order(self._answered(samples, sampling, how), advance)
        return [[row.answer for row in rows] for rows in drawn]

    def drawn(self, samples: Sequence[Sample], sampling: Sampling) -> list[list[Drawn]]:
        """As `answers`, with the tokens that a training of this very model goes on from."""
        return in_order(self._answered(samples, sampling, None))

    @torch.inference_mode()
    def _answered(
        self, samples: Sequence[Sample], sampling: Sampling, how: Sequence[Mix] | None
    ) -> Iterator[tuple[int, list[Drawn]]]:
        """(index of a sample, its answers), as they end. Where memory runs out, the remaining samples go on with
        half the rows at once."""
        left = dict(enumerate(samples))
        while left:
            places = list(left)
            try:
                waiting = list(left.values())
                for index, drawn in self._fill(waiting, sampling, [how[number] for number in places] if how else None):
                    del left[places[index]]
                    yield places[index], drawn
                return
            except torch.OutOfMemoryError as error:
                self._refuse_less(sampling.n, error)
            self._halve()

    def _refuse_less(self, rows: int, error: Exception) -> None:
        """Raise `ModelError` where fewer rows at once would be less than one sample."""
        if self.batch <= rows:
            raise ModelError(
                f"{self.name}: {self.device} has not the memory for one sample; ask for fewer tokens or use cpu"
            ) from error

    def _halve(self) -> None:
        self.batch //= 2
        torch.cuda.empty_cache()

    def _fill(
        self, samples: Sequence[Sample], sampling: Sampling, how: Sequence[Mix] | None
    ) -> Iterator[tuple[int, list[Drawn]]]:
        """The samples' answers, batch by batch and within a batch as they end."""
        for begun in self.begun(samples, sampling, how, None):
            drawn: dict[int, dict[int, Drawn]] = {row.sample: {} for row in begun.rows}
            for row, tokens, finished in self._decode(begun, sampling):
                words = tokens[:-1] if finished else tokens
                text = text_with_tags(self.tokenizer, row.lead + words, self._tags)
                answers = drawn[row.sample]
                answers[row.draw] = Drawn(
                    answer=Answer(text=text.strip(), finished=finished), prompt=tuple(row.ids), tokens=tuple(tokens)
                )
                if len(answers) == sampling.n:
                    yield row.sample, [answers[draw] for draw in range(sampling.n)]

    def begun(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Mix] | None = None,
        continuations: Sequence[str] | None = None,
    ) -> Iterator[Begun]:
        """The samples' rows with their prompts read, batch by batch.

        Samples are taken in the order of their pictures, so that a picture's rows are decoded together.
        """
        if len({mix.weight is None for mix in how or ()}) > 1:
            raise ValueError("of the rows that are decoded together all are mixed or none is")
        order = sorted(range(len(samples)), key=lambda index: (samples[index].cluster, index))
        position = 0
        while position < len(order):
            # as many samples as fill a batch of rows, at the least one
            chunk = order[position : position + max(1, self.batch // sampling.n)]
            position += len(chunk)
            answers = [(index, draw) for index in chunk for draw in range(sampling.n)]
            mixes = [how[index] if how and how[index].weight is not None else None for index, _ in answers]
            beside = [mix.beside for mix in mixes if mix and mix.beside]
            heads = self.reader.heads(
                [*(samples[index] for index, _ in answers), *beside],
                shared=self.prefix != "whole prompts",
                apart="each" if self.prefix == "shared prefix, one picture a prefill" else "counts",
            )
            rows, owners = [], iter(heads.owners[len(answers) :])
            for (index, draw), mix, owner in zip(answers, mixes, heads.owners, strict=False):
                lead = how[index].lead if how else continuations[index] if continuations else ""
                prompt, begun = self.reader.answered(samples[index], lead, heads.heads[owner])
                row = AnswerRow(
                    index, draw, owner, prompt, begun, mix, stream_seed(sampling.seed, samples[index].id, draw)
                )
                if mix and mix.beside:
                    owner = next(owners)
                    prompt, begun = self.reader.answered(mix.beside, lead, heads.heads[owner])
                    row = replace(row, twin=replace(row, head=owner, ids=prompt, lead=begun))
                rows.append(row)
            rows.sort(key=lambda row: (len(row.ids) + len(row.lead), row.sample, row.draw))
            more = 0 if continuations is not None else sampling.max_tokens + 2 * (sampling.max_thought_tokens or 0)
            keep = 1 + max(len(row.lead) for row in rows) if continuations is not None else 1
            reader = Prefill(self.branching, self.reader, self.prefix, self._count)
            logits, lanes = reader.read(rows, heads, keep=keep, more=more)
            yield Begun(rows, heads, logits, lanes)

    def _count(self, tokens: int, *, passes: int = 1, pictures: int = 0, twins: int = 0) -> None:
        """Forward passes over so many tokens, of which so many are pictures' and the twins'."""
        self.costs.update(
            forward_passes=passes, forward_tokens=tokens, picture_tokens=pictures, twin_tokens=twins,
            **{ESTIMATED_FLOPS: self.weights.flops(tokens, pictures)},
        )  # fmt: skip

    def _weighed(
        self, samples: Sequence[Sample], continuations: Sequence[str]
    ) -> Iterator[tuple[int, AnswerRow, Head, torch.Tensor]]:
        """(index of a sample, its row, its head, the log-probabilities of `_read`), as they are read. Where memory runs
        out, the remaining samples go on with half the rows at once."""
        left = dict.fromkeys(range(len(samples)))
        while left:
            places = list(left)
            try:
                for begun in self.begun(
                    [samples[index] for index in places], Sampling(), None, [continuations[index] for index in places]
                ):
                    for row, log_probs in self._read(begun):
                        del left[places[row.sample]]
                        yield places[row.sample], row, begun.heads.heads[row.head], log_probs
                return
            except torch.OutOfMemoryError as error:
                self._refuse_less(1, error)
            self._halve()

    def _read(self, begun: Begun) -> Iterator[tuple[AnswerRow, torch.Tensor]]:
        """Each row with the log-probabilities (lead, vocabulary) of the tokens of its lead."""
        for lane, row in enumerate(begun.rows):
            logits = begun.logits[lane, -len(row.lead) - 1 : -1]
            self.refuse_no_numbers(logits)
            yield row, logits.float().log_softmax(-1)

    def refuse_no_numbers(self, logits: torch.Tensor) -> None:
        """Raise `ModelError` where the model computes no numbers: its answers would be blank or the first token's."""
        if not torch.isfinite(logits).all():
            raise ModelError(
                f"{self.name}: its logits are not finite (NaN or infinite), so it says nothing; its weights are broken "
                "or overflow in this precision"
            )

    def _decode(self, begun: Begun, sampling: Sampling) -> Iterator[tuple[AnswerRow, list[int], bool]]:
        """Each row with the tokens generated for it, and whether the last of them ended it (a stop token, or the first
        of a sentence too many), as soon as it has ended."""
        rows, lanes, logits = begun.rows, begun.lanes, begun.logits[:, -1]
        generated: list[list[int]] = [[] for _ in rows]
        going = list(range(len(rows)))
        twins = bool(rows[0].mix)
        mixes = [row.mix for row in rows if row.mix]
        prompts = [row.ids for row in rows]
        budget = self._budget(prompts, sampling)
        steps = budget.steps if budget else sampling.max_tokens
        processed = self.processing.rows(self.model, prompts, stop=self.stop, max_tokens=steps)
        numbers = uniforms([row.seed for row in rows], steps) if sampling.temperature else None
        while going:
            logits = logits.float()
            self.refuse_no_numbers(logits)
            if self.options.end_bias:
                logits = logits.clone()
                logits[:, self._ends] += self.options.end_bias
            if twins:
                seeing, twin = logits.chunk(2)
                places = [len(rows[number].lead) + len(generated[number]) for number in going]
                logits = mixed(seeing, twin, [mixes[number] for number in going], places, self._forbidden(sampling))
            if processed:
                logits = processed(going, [rows[number].lead + generated[number] for number in going], logits)
            step = len(generated[going[0]])
            tokens = self._chosen(logits, None if numbers is None else numbers[going, step], sampling)
            if budget:
                tokens = [budget.write(number, token) for number, token in zip(going, tokens, strict=True)]
            self.costs.update(generated_tokens=len(tokens))
            left = []
            for slot, (number, token) in enumerate(zip(going, tokens, strict=True)):
                if token in self.stop:
                    yield rows[number], [*generated[number], token], True
                    continue
                generated[number].append(token)
                if sampling.sentences and self._sentences(rows[number], generated[number]) > sampling.sentences:
                    yield rows[number], generated[number], True
                elif budget.is_full(number) if budget else len(generated[number]) == steps:
                    yield rows[number], generated[number], False
                else:
                    left.append(slot)
            if left and len(left) < len(going):
                lanes.keep(left + [len(going) + slot for slot in left] if twins else left)
            going = [going[slot] for slot in left]
            if going:
                chosen = torch.tensor([[tokens[slot]] for slot in left] * (2 if twins else 1), device=self.device)
                logits = lanes.step(chosen)
                self._count(len(going) * (1 + twins), passes=lanes.passes, twins=len(going) * twins)

    def _sentences(self, row: AnswerRow, generated: Sequence[int]) -> int:
        """How many sentences an answer has begun beside those of its lead."""
        texts = (text_with_tags(self.tokenizer, tokens, self._tags) for tokens in ([*row.lead, *generated], row.lead))
        whole, lead = (len(sentence_spans(text)) for text in texts)
        return whole - lead

    def _chosen(self, logits: torch.Tensor, numbers: torch.Tensor | None, sampling: Sampling) -> list[int]:
        """The next token of each row: the likeliest or, with `numbers`, the one that its number draws."""
        logits = logits.index_fill(-1, self._forbidden(sampling), -torch.inf)
        if numbers is None:
            chosen = logits.argmax(-1)
        else:
            chosen = inverse(logits / sampling.temperature, numbers.to(self.device), sampling.top_p)
        return [int(token) for token in chosen.tolist()]

    def _forbidden(self, sampling: Sampling) -> torch.Tensor:
        """The columns of tokens that are never chosen."""
        return self._undrawn if sampling.temperature else self._unwritten

    def _budget(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> ThoughtBudget | None:
        """The bound of the rows' thoughts, where one is asked for."""
        if not sampling.max_thought_tokens:
            return None
        tags = thought_tags(self.name, self.tokenizer, [self.processor.chat_template or "", self.options.system or ""])
        return ThoughtBudget(
            self.tokenizer, tags, prompts, longest=sampling.max_thought_tokens, max_tokens=sampling.max_tokens
        )

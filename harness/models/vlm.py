"""Vision-language models of transformers, asked so that questions about one picture share its work.

The picture's prefix (its features and the key-value cache of everything up to its last token) is computed once and
branched for each question and each draw. The same branches carry controlled hallucination: beside each row runs a
twin whose text was never computed with a picture. Sampling draws from a stream of numbers of its own for each sample,
so that no answer depends on which others are in its batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from PIL.Image import Image
from transformers import DynamicCache

from harness.errors import ModelError
from harness.files import digest_of_json
from harness.models.caches import branch, widened
from harness.models.draws import inverse, stream_seed, uniforms
from harness.models.frames import frame_of
from harness.models.generation import processing_of
from harness.models.loading import computed_by
from harness.models.options import ModelOptions
from harness.models.prompts import PromptReader
from harness.models.stopping import stop_tokens, suppressed_tokens
from harness.pictures import picture_digest
from harness.sentences import sentence_spans
from harness.types import Advance, Answer, AnswerStream, Sample, Sampling

DECODING_VERSION = 2
"""Raised when this module would decode another answer from the same model, sample and sampling."""


COSTS = ("forward_passes", "forward_tokens", "picture_tokens", "twin_tokens", "generated_tokens")
"""What `Vlm.costs` counts: passes through the language model; tokens that they read, padding left out; how many of
these are pictures', and how many the image-free twins'; tokens that were decoded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hallucination:
    """How one row is made to hallucinate.

    Its next-token logits are ``(1 - ratio) * conditioned + ratio * image_free`` (judge-free self-improvement,
    arXiv 2411.17760, whose `h_ratio` this is); `lead` is the part of the answer that is given, not generated.
    """

    ratio: float
    lead: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """One answer to be decoded: its sample, which picture prefix it branches from, its own tokens, its numbers."""

    sample: int
    draw: int
    owner: int
    ids: list[int]
    lead: list[int]
    ratio: float | None
    seed: int


class Vlm:
    """A model, its processor, and the digest of its weights.

    `costs` counts what was done since the model was loaded (`COSTS`); `batch` is how many rows are decoded
    together, halved by itself when memory runs out; `frame` is how pictures are shown. `asked` and `cut` count the
    answers that `stream` gave: all, and those that ended at `max_tokens`.
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
        self.frame = frame_of(processor.image_processor, options.pictures)
        self.reader = PromptReader(processor, self.frame, system=options.system, thinking=options.thinking)
        self.batch = 192
        self.answered = self.cut = 0
        self.costs = Counter(dict.fromkeys(COSTS, 0))
        self.stop = set(stop_tokens(model, self.tokenizer))
        self.image_id = model.config.image_token_index
        special = {self.tokenizer.convert_tokens_to_ids(token) for token in self.tokenizer.all_special_tokens}
        suppressed = set(suppressed_tokens(model, name) if self.processing.followed else ())
        self._suppressed = self._columns(suppressed)
        # `generate` lets a greedy answer hold special tokens; drawn by chance they would only be markup gone astray
        self._undrawn = self._columns(suppressed | (special | {self.image_id}) - self.stop)

    def _columns(self, tokens: Collection[int]) -> torch.Tensor:
        """The columns of the logits that belong to some tokens; a tokenizer may know more than the model has."""
        width = self.model.get_output_embeddings().weight.shape[0]
        return torch.tensor(
            sorted(token for token in tokens if 0 <= token < width), dtype=torch.long, device=self.device
        )

    @property
    def about(self) -> Mapping[str, Any]:
        """What results say of where the answers come from."""
        return {
            "digest_of": "weights",
            **self.origins,
            "device": self.device,
            **computed_by(self.model),
            "pictures": self.frame.sight,
            **self.options.spoken,
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

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        """`sampling.n` answers to each sample, each sample's as soon as its last one has ended."""
        for index, answers in self._answered(samples, sampling, None):
            self.answered += len(answers)
            self.cut += sum(not answer.finished for answer in answers)
            yield index, [answer.text for answer in answers]

    def generate(
        self, samples: Sequence[Sample], sampling: Sampling, advance: Advance | None = None
    ) -> list[list[str]]:
        """`sampling.n` answers to each sample, in the samples' order."""
        texts: list[list[str]] = [[] for _ in samples]
        for index, answers in self.stream(samples, sampling):
            texts[index] = answers
            if advance:
                advance(1)
        return texts

    def hallucinate(
        self,
        samples: Sequence[Sample],
        how: Sequence[Hallucination],
        sampling: Sampling,
        advance: Advance | None = None,
    ) -> list[str]:
        """One answer to each sample by controlled hallucination; an answer begins with its `lead`."""
        return [row[0].text for row in self.answers(samples, sampling, how, advance)]

    @torch.inference_mode()
    def log_likelihood(self, samples: Sequence[Sample], continuations: Sequence[str]) -> list[tuple[float, bool]]:
        """(log-probability of the continuation after the sample's prompt, whether it is the greedy one)."""
        likelihoods: list[tuple[int, float, bool]] = []
        for _, rows, cache, mask in self._branches(samples, Sampling(), None, continuations):
            logits = self._read(rows, cache, mask)
            for index, row in enumerate(rows):
                targets = torch.tensor(row.lead, device=self.device)
                log_probs = logits[index, -len(row.lead) - 1 : -1]
                total = log_probs.gather(1, targets[:, None]).sum()
                likelihoods.append((row.sample, float(total), bool((log_probs.argmax(-1) == targets).all())))
        return [(value, greedy) for _, value, greedy in sorted(likelihoods)]

    @torch.inference_mode()
    def sentence_log_likelihoods(
        self, samples: Sequence[Sample], answers: Sequence[str], advance: Advance | None = None
    ) -> list[list[float]]:
        """For each answer the log-probability (natural logarithm, summed over tokens) of each of its sentences, as
        `harness.sentences` cuts them, given pictures, prompt and the sentences before it: how sure the model is of it.
        """
        likelihoods: list[list[float]] = [[] for _ in samples]
        for done, rows, cache, mask in self._branches(samples, Sampling(), None, answers):
            logits = self._read(rows, cache, mask)
            for index, row in enumerate(rows):
                spans = sentence_spans(answers[row.sample])
                sums = [0.0] * len(spans)
                if row.lead:
                    tokens = torch.tensor(row.lead, device=self.device)
                    values = logits[index, -len(row.lead) - 1 : -1].gather(1, tokens[:, None])[:, 0].tolist()
                    ends = self.reader.answer_ends(samples[row.sample], answers[row.sample])
                    for end, value in zip(ends, values, strict=True):
                        sentence = next((n for n, span in enumerate(spans) if end <= span[1]), len(spans) - 1)
                        sums[sentence] += value
                likelihoods[row.sample] = sums
            if advance:
                advance(done)
        return likelihoods

    def answers(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Hallucination] | None = None,
        advance: Advance | None = None,
    ) -> list[list[Answer]]:
        """As `generate`, or as `hallucinate` where `how` is given, with whether each answer ended by itself."""
        results: list[list[Answer]] = [[] for _ in samples]
        for index, answers in self._answered(samples, sampling, how):
            results[index] = answers
            if advance:
                advance(1)
        return results

    @torch.inference_mode()
    def _answered(
        self, samples: Sequence[Sample], sampling: Sampling, how: Sequence[Hallucination] | None
    ) -> Iterator[tuple[int, list[Answer]]]:
        """(index of a sample, its answers), as they end. Where memory runs out, the remaining samples go on with
        half the rows at once."""
        left = dict(enumerate(samples))
        while left:
            places = list(left)
            try:
                waiting = list(left.values())
                for index, answers in self._fill(
                    waiting, sampling, [how[number] for number in places] if how else None
                ):
                    del left[places[index]]
                    yield places[index], answers
                return
            except torch.OutOfMemoryError as error:
                if self.batch <= sampling.n:
                    raise ModelError(
                        f"{self.name}: {self.device} has not the memory for one sample; ask for fewer tokens or use cpu"
                    ) from error
            self.batch //= 2
            torch.cuda.empty_cache()

    def _fill(
        self, samples: Sequence[Sample], sampling: Sampling, how: Sequence[Hallucination] | None
    ) -> Iterator[tuple[int, list[Answer]]]:
        """The samples' answers, batch by batch and within a batch as they end."""
        for _, rows, cache, mask in self._branches(samples, sampling, how, None):
            drawn: dict[int, dict[int, Answer]] = {row.sample: {} for row in rows}
            for row, tokens in self._decode(rows, cache, mask, sampling):
                text = self.tokenizer.decode(row.lead + tokens, skip_special_tokens=True)
                finished = len(tokens) < sampling.max_tokens
                answers = drawn[row.sample]
                answers[row.draw] = Answer(text=text.strip(), finished=finished)
                if len(answers) == sampling.n:
                    yield row.sample, [answers[draw] for draw in range(sampling.n)]

    def _branches(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Hallucination] | None,
        continuations: Sequence[str] | None,
    ) -> Iterator[tuple[int, list[_Row], DynamicCache, torch.Tensor]]:
        """(samples finished, rows, the rows' branched caches, their prefix masks), batch by batch.

        Samples are taken in the order of their pictures, so that a picture's rows are decoded together.
        """
        order = sorted(range(len(samples)), key=lambda index: (samples[index].cluster, index))
        position = 0
        while position < len(order):
            # as many samples as fill a batch of rows, at the least one
            chunk = order[position : position + max(1, self.batch // sampling.n)]
            position += len(chunk)
            owners: dict[tuple[tuple[int, ...], str], int] = {}
            inputs: list[tuple[tuple[int, ...], list[Image]]] = []
            rows: list[_Row] = []
            for index in chunk:
                lead = how[index].lead if how else continuations[index] if continuations else ""
                prompt, spoken = self.reader.answered(samples[index], lead)
                head, tail = self.reader.cut(prompt)
                pictures = self.reader.pictures(samples[index])
                key = (head, picture_digest(pictures))
                if key not in owners:
                    owners[key] = len(inputs)
                    inputs.append((head, pictures))
                for draw in range(sampling.n):
                    rows.append(
                        _Row(
                            sample=index,
                            draw=draw,
                            owner=owners[key],
                            ids=tail,
                            lead=spoken,
                            ratio=how[index].ratio if how else None,
                            seed=stream_seed(sampling.seed, samples[index].id, draw),
                        )
                    )
            rows.sort(key=lambda row: (len(row.ids) + len(row.lead), row.sample, row.draw))
            yield len(chunk), rows, *self._branched(inputs, [row.owner for row in rows], with_twins=bool(how))

    def _branched(
        self, inputs: Sequence[tuple[tuple[int, ...], list[Image]]], owners: Sequence[int], *, with_twins: bool
    ) -> tuple[DynamicCache, torch.Tensor]:
        """The prefixes' caches branched for the rows of these owners, and their masks; behind them those of the twins.

        A twin's prefix is its head without the picture tokens, computed by itself: text between two pictures would
        hand on what it saw of the first.
        """
        prefixes, mask = self._prefixes(inputs)
        rows = torch.tensor(owners, device=self.device)
        if not with_twins:
            return branch(prefixes, rows), mask[rows]
        blind = [tuple(token for token in head if token != self.image_id) for head, _ in inputs]
        heads = list(dict.fromkeys(blind))
        twins, twin_mask = self._prefixes([(head, []) for head in heads], twins=True)
        twin_rows = torch.tensor([heads.index(blind[owner]) for owner in owners], device=self.device)
        twin_mask = widened(twin_mask, mask.shape[1], dim=1)
        return branch(prefixes, rows, twins, twin_rows), torch.cat([mask[rows], twin_mask[twin_rows]])

    def _spoken(self, sample: Sample, answer: str) -> list[int]:
        """The tokens of the beginning of an answer, with whatever space the chat template puts before it."""
        return self.reader.answered(sample, answer)[1]

    def _prefixes(
        self, inputs: Sequence[tuple[tuple[int, ...], list[Image]]], *, twins: bool = False
    ) -> tuple[DynamicCache, torch.Tensor]:
        """The key-value cache of each prefix (its tokens, one for each picture, and the pictures), and the mask (U, P)
        of what may be attended to.

        An empty prefix is a padding token that nothing attends to: a cache cannot be empty.
        """
        pixels, taken = self.reader.pixels([picture for _, pictures in inputs for picture in pictures])
        counts = iter(taken)
        heads = [self.reader.expanded(head, counts) for head, _ in inputs]
        longest = max(1, *(len(head) for head in heads))
        padding = self.reader.filler
        ids = torch.tensor([[padding] * (longest - len(head)) + head for head in heads], device=self.device)
        real = torch.tensor([[False] * (longest - len(head)) + [True] * len(head) for head in heads])
        real = real.to(self.device)
        # the padding token of an empty prefix attends to itself: a row that attends to nothing is not a number
        attended = real | ~real.any(1, keepdim=True) & (torch.arange(longest, device=self.device) == longest - 1)
        cache = DynamicCache()
        # the places that `_forward` counts on too: padding takes none
        positions = (attended.long().cumsum(1) - 1).clamp(min=0)
        self.model(
            **{name: values.to(self.device) for name, values in pixels.items()},
            input_ids=ids,
            attention_mask=attended.long(),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._count(sum(map(len, heads)), pictures=sum(taken), twins=sum(map(len, heads)) if twins else 0)
        return cache, real

    def _count(self, tokens: int, *, pictures: int = 0, twins: int = 0) -> None:
        """One forward pass over so many tokens, of which so many are pictures' and the twins'."""
        self.costs.update(forward_passes=1, forward_tokens=tokens, picture_tokens=pictures, twin_tokens=twins)

    def _padded(self, rows: Sequence[_Row], mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows' own tokens padded on the left, and the mask of prefix and tokens together.

        With twins (more masks than rows) the tokens are repeated for them.
        """
        longest = max(len(row.ids) + len(row.lead) for row in rows)
        filled = [[*row.ids, *row.lead] for row in rows]
        ids = torch.tensor(
            [[self.reader.filler] * (longest - len(tokens)) + tokens for tokens in filled], device=self.device
        )
        real = torch.tensor([[False] * (longest - len(tokens)) + [True] * len(tokens) for tokens in filled])
        real = real.to(self.device)
        times = len(mask) // len(rows)
        return ids.repeat(times, 1), torch.cat([mask, real.repeat(times, 1)], dim=1)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache, keep: int = 1) -> torch.Tensor:
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.model(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        logits: torch.Tensor = out.logits
        return logits

    def _read(self, rows: Sequence[_Row], cache: DynamicCache, mask: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of each next token, (rows, longest lead + 1, vocabulary): a row's lead is told by its last
        ones but one."""
        ids, mask = self._padded(rows, mask)
        logits = self._forward(ids, mask, cache, keep=max(len(row.lead) for row in rows) + 1)
        self._refuse_no_numbers(logits[mask[:, -logits.shape[1] :]])  # padding may attend to nothing
        self._count(sum(len(row.ids) + len(row.lead) for row in rows))
        return logits.float().log_softmax(-1)

    def _refuse_no_numbers(self, logits: torch.Tensor) -> None:
        """Raise `ModelError` where the model computes no numbers: its answers would be blank or the first token's."""
        if not torch.isfinite(logits).all():
            raise ModelError(
                f"{self.name}: its logits are not finite (NaN or infinite), so it says nothing; its weights are broken "
                "or overflow in this precision"
            )

    def _decode(
        self, rows: Sequence[_Row], cache: DynamicCache, mask: torch.Tensor, sampling: Sampling
    ) -> Iterator[tuple[_Row, list[int]]]:
        """Each row with the tokens generated for it, without the stop token, as soon as it has ended."""
        generated: list[list[int]] = [[] for _ in rows]
        going = list(range(len(rows)))
        twins = len(mask) > len(rows)
        numbers = uniforms([row.seed for row in rows], sampling.max_tokens) if sampling.temperature else None
        ratios = torch.tensor([row.ratio or 0.0 for row in rows], device=self.device)[:, None]
        ids, mask = self._padded(rows, mask)
        read = sum(len(row.ids) + len(row.lead) for row in rows)
        for step in range(sampling.max_tokens):
            logits = self._forward(ids, mask, cache)[:, -1].float()
            self._count(read * (1 + twins), twins=read * twins)
            if twins:
                seeing, free = logits.chunk(2)
                logits = (1 - ratios[going]) * seeing + ratios[going] * free
            self._refuse_no_numbers(logits)
            logits[:, self._suppressed if numbers is None else self._undrawn] = -torch.inf
            if numbers is None:
                chosen = logits.argmax(-1)
            else:
                chosen = inverse(logits / sampling.temperature, numbers[going, step].to(self.device))
            tokens = chosen.tolist()
            self.costs.update(generated_tokens=len(tokens))
            left = [slot for slot, token in enumerate(tokens) if token not in self.stop]
            for slot in left:
                generated[going[slot]].append(tokens[slot])
            for slot in set(range(len(going))) - set(left):
                yield rows[going[slot]], generated[going[slot]]
            if not left:
                return
            if len(left) < len(going):
                keep = torch.tensor(left + [len(going) + slot for slot in left] if twins else left)
                keep = keep.to(self.device)
                cache.batch_select_indices(keep)
                mask, chosen = mask[keep], chosen[torch.tensor(left, device=self.device)]
                going = [going[slot] for slot in left]
            read = len(going)
            ids = chosen[:, None].repeat(2 if twins else 1, 1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        for row in going:
            yield rows[row], generated[row]

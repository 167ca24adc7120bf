"""Any OpenAI-compatible endpoint as a model (vLLM, SGLang, `transformers serve`, hosted ones). Only importer of openai.

What answers is a name that somebody serves and no weights that could be looked at: its digest is of where and under
which name it is served, and results say so. Chat template, picture settings and penalties are the server's.
The key is read from the environment, goes to the server and nowhere else.
"""

from __future__ import annotations

import base64
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OpenAI,
    OpenAIError,
    PermissionDeniedError,
    Timeout,
    UnprocessableEntityError,
    omit,
)

from harness.concurrency import concurrently
from harness.errors import BudgetError, OutageError, UsageError
from harness.files import digest_of_json
from harness.models.account import Account
from harness.models.patience import GaveUpError, Pace, Patience, Trouble
from harness.models.replies import error_in, log_probability_of, retry_after, text_of, tokens_of, why_blank
from harness.models.streams import in_order
from harness.pictures import open_picture
from harness.types import Advance, Answer, AnswerStream, Picture, Sample, Sampling
from harness.wording import mended

if TYPE_CHECKING:
    from harness.models.mixing import Mix

KEY_VARIABLES = ("STROP_API_KEY", "OPENAI_API_KEY")
"""Where the key is looked for, in this order."""

CONNECT_SECONDS = 10.0
"""How long a server may take to accept a connection."""

BUSY = (429, 503, 529)
"""The statuses by which a server says that it has too much to do."""

PASSING = (408, 409, 425)
"""Statuses below 500 that are no fault of the question, beside those of `BUSY`."""

REQUEST_VERSION = 1
"""Changes whenever a sample becomes another request."""

COSTS = ("endpoint_answers", "endpoint_prompt_tokens", "endpoint_generated_tokens")
"""What `Endpoint.costs` counts."""

_NO_KEY = "no-key-is-set"  # the client insists on one, servers that want none ignore it
_REASON_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _Said:
    """The answers to one sample, and the tokens that the server counted of each."""

    answers: tuple[Answer, ...]
    tokens: tuple[Mapping[str, int], ...]


class Endpoint:
    """A model by the name under which a server knows it, asked `parallel` questions at a time, fewer while it is busy
    (`harness.models.patience`).

    `asked` and `cut` count answers since it was made: all, and those that ended at `max_tokens`. `blank` says of each
    answer without a text, where it can be known, why it has none (`harness.models.replies.BLANK`). `costs` counts the
    answers and, where the server tells of them (`usage`), tokens, those of pictures and thoughts among them.

    With `weigh`, greedy answers are asked for with their log-probabilities: `log_probabilities` maps (pictures, prompt)
    to that of the answer (natural logarithm, summed over its tokens but the one that ends it). Servers that have none,
    or refuse to tell them, leave it empty.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        parallel: int = 8,
        weigh: bool = False,
        patience: Patience = Patience(),
        account: Account | None = None,
    ) -> None:
        self.name, self.url, self.parallel, self.weigh = mended(name), _plain_url(url), parallel, weigh
        self.log_probabilities: dict[tuple[tuple[Picture, ...], str], float] = {}
        self.answered = self.cut = 0
        self.blank: list[str] = []
        self.costs = Counter(dict.fromkeys(COSTS, 0))
        self._key = _key()
        self.pace, self.account = Pace(parallel, patience), account or Account()
        timeout = Timeout(patience.deadline, connect=min(CONNECT_SECONDS, patience.deadline))
        self._client = OpenAI(api_key=self._key, base_url=self.url, max_retries=0, timeout=timeout)

    @property
    def digest(self) -> str:
        """Of the URL without its scheme, the served name and the request's form: of no weights."""
        return digest_of_json({"served": self.url.partition("://")[2], "name": self.name, "settings": self.settings})

    @property
    def settings(self) -> str:
        return digest_of_json(["chat completions, PNG before the text", REQUEST_VERSION])

    @property
    def about(self) -> Mapping[str, Any]:
        """What results say of where the answers come from; the counts are of this process."""
        return {
            "url": self.url,
            "name": self.name,
            "digest_of": "a served name, not weights",
            "asked": self.answered,
            "ended_at_max_tokens": self.cut,
            **({"spent": self.account.words} if self.account.path and self.account.answers else {}),
            **({"blank": dict(sorted(Counter(self.blank).items()))} if self.blank else {}),
        }

    def generate(
        self, samples: Sequence[Sample], sampling: Sampling, advance: Advance | None = None
    ) -> list[list[str]]:
        """All that `stream` gives, in the samples' order."""
        return in_order(self.stream(samples, sampling), advance)

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        """`sampling.n` answers to each sample as they come."""
        for index, answers in self._answered(samples, sampling):
            yield index, [answer.text for answer in answers]

    def answers(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Mix] | None = None,
        advance: Advance | None = None,
    ) -> list[list[Answer]]:
        """All answers in the samples' order, with whether each ended by itself. Raises `UsageError` where passes are to
        be mixed, which no server does."""
        if how:
            raise UsageError(f"endpoint {self.url}: a server gives no logits to mix; take a model that is loaded here")
        return in_order(self._answered(samples, sampling), advance)

    def _answered(self, samples: Sequence[Sample], sampling: Sampling) -> Iterator[tuple[int, list[Answer]]]:
        """(index of a sample, its answers) as they come; a refusal is an empty answer.

        Raises `OutageError` where asking again does not help, after the answers to what was asked at that time. A
        question that the server does not take (too long, too large a picture), or breaks at while it answers others,
        does not keep these from being asked. Raises `UsageError` for a bound on thoughts: a server's are its own.
        """
        if sampling.sentences is not None:
            raise UsageError(f"endpoint {self.url}: a server is not stopped at a sentence; take a model loaded here")
        if sampling.max_thought_tokens is not None:
            raise UsageError(
                "--max-thought-tokens is for a model that is loaded here; raise --max-tokens, which a served model's "
                "thought shares"
            )
        refused: list[str] = []
        down: list[Exception] = []

        def going_on() -> Iterator[Sample]:
            for sample in samples:
                if not down and self.account.is_used_up:
                    down.append(self._used_up())
                if down:
                    return
                yield sample

        self.pace.open()
        for index, call in concurrently(lambda sample: self._say(sample, sampling), going_on(), self.parallel):
            try:
                reply = call.result()
            except (BadRequestError, UnprocessableEntityError) as error:
                refused.append(self._message(error, f"does not take question {samples[index].id}"))
            except GaveUpError as end:
                if end.alone:
                    refused.append(self._message(end.error, f"does not answer question {samples[index].id}"))
                else:
                    down.append(OutageError(self._message(end.error, "does not answer")))
            except OpenAIError as error:
                down.append(OutageError(self._message(error, "does not answer")))
            except Exception as error:  # noqa: BLE001 - raised below, when what is on its way has come
                down.append(error)
            else:
                self.answered += len(reply.answers)
                self.cut += sum(not answer.finished for answer in reply.answers)
                self.costs.update(endpoint_answers=len(reply.answers))
                try:
                    for tokens in reply.tokens:
                        self.costs.update({f"endpoint_{name}_tokens": count for name, count in tokens.items()})
                        self.account.add(tokens)
                except UsageError as error:
                    down.append(error)
                yield index, list(reply.answers)
            if down and not isinstance(down[0], BudgetError):  # what is on its way has been paid for
                self.pace.close()
        if down:
            raise down[0]
        if refused:
            raise OutageError(refused[0])

    def _say(self, sample: Sample, sampling: Sampling) -> _Said:
        content: list[Any] = [
            {"type": "image_url", "image_url": {"url": _data_url(picture)}} for picture in sample.images
        ]
        content.append({"type": "text", "text": sample.prompt})
        answers, tokens = [], []
        for draw in range(sampling.n):
            ask = partial(self._choice, content, sampling, _seed(sampling, sample, draw))
            choice, usage = self.pace.ask(ask, _trouble)
            text = mended(text_of(choice.message.content).strip())
            answers.append(Answer(text=text, finished=choice.finish_reason != "length"))
            tokens.append(tokens_of(usage))
            if not sampling.temperature and (value := log_probability_of(choice, text)) is not None:
                self.log_probabilities[sample.images, sample.prompt] = value
            if not text and (why := why_blank(choice)):
                self.blank.append(why)
        return _Said(answers=tuple(answers), tokens=tuple(tokens))

    def _choice(self, content: list[Any], sampling: Sampling, seed: int) -> tuple[Any, Any]:
        """(the choice that answers one request, what it took); raises `OpenAIError` for what is no answer."""
        try:
            reply = self._complete(content, sampling, seed)
            choices: Any = reply.choices  # whatever the server sent
            if reason := error_in(choices[0] if choices else reply):
                raise OpenAIError(reason)
            choice = choices[0]
            text_of(choice.message.content).strip(), choice.finish_reason, why_blank(choice)
        except (AttributeError, IndexError, TypeError, JSONDecodeError) as error:
            raise OpenAIError("what came back is no chat completion") from error
        return choice, reply.usage

    def _complete(self, content: list[Any], sampling: Sampling, seed: int) -> Any:
        """One request; a server that does not take a question with log-probabilities is asked without from then on."""
        weigh = self.weigh and not sampling.temperature
        try:
            return self._client.chat.completions.create(
                model=self.name,
                messages=[{"role": "user", "content": content}],
                temperature=sampling.temperature,
                max_tokens=sampling.max_tokens,  # the newer name is not known to every server
                seed=seed,
                top_p=omit if sampling.top_p is None else sampling.top_p,
                logprobs=True if weigh else omit,
            )
        except (BadRequestError, UnprocessableEntityError):
            if not weigh:
                raise
        self.weigh = False
        return self._complete(content, sampling, seed)

    def _used_up(self) -> BudgetError:
        return BudgetError(
            f"endpoint {self.url}, model {self.name}: {self.account.answers:,} answers took {self.account.words}, and "
            f"the budget is {self.account.budget:g}; raise --budget"
        )

    def _message(self, error: Exception, what: str) -> str:
        """One line for people: which endpoint, why, and the remedy; without the key, which a server may repeat."""
        reason = str(error.__cause__ or error) if isinstance(error, APIConnectionError) else str(error)
        if isinstance(error, APIStatusError):
            body = error.body if isinstance(error.body, Mapping) else {}
            reason = f"{error.status_code}: {body.get('message') or error.response.reason_phrase}"
        reason = "".join(sign if sign.isprintable() else " " for sign in reason.replace(self._key, "***"))
        reason = " ".join(reason.split())[:_REASON_SHOWN]
        remedy = "start it, or name another by its base URL, such as http://localhost:8000/v1"
        if isinstance(error, AuthenticationError | PermissionDeniedError):
            remedy = f"put its key into {' or '.join(KEY_VARIABLES)}"
        elif isinstance(error, NotFoundError):
            remedy = "name a model that it serves, and the URL up to /v1"
        elif isinstance(error, BadRequestError | UnprocessableEntityError):
            remedy = "change the server's limits or the model"
        return f"endpoint {self.url}, model {self.name}: {what} ({reason}); {remedy}"


def _trouble(error: Exception) -> Trouble | None:
    """What an error says of the server; None where it is the question's, or will be the same next time."""
    if isinstance(error, APIStatusError):
        busy = error.status_code in BUSY
        passing = busy or error.status_code >= 500 or error.status_code in PASSING
        return Trouble(busy=busy, after=retry_after(error.response.headers)) if passing else None
    # an answer that did not come in time asks for fewer at once; the rest is no connection, or no chat completion
    return Trouble(busy=isinstance(error, APITimeoutError)) if isinstance(error, OpenAIError) else None


def _key() -> str:
    """The key; raises `UsageError` for one that cannot be sent, which a later error would show in another spelling."""
    for variable in KEY_VARIABLES:
        if key := os.environ.get(variable, "").strip():
            if not (key.isascii() and key.isprintable()):
                raise UsageError(f"the key in {variable} holds more than printable ASCII; set it again")
            return key
    return _NO_KEY


def _plain_url(url: str) -> str:
    """The base URL; raises `UsageError` for one that could hold a secret, without showing it, or is none."""
    try:
        parts = urlsplit(url)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
        wrong = wrong or not url.isascii() or not url.isprintable() or " " in url
        secret = "@" in parts.netloc or parts.query or parts.fragment
    except ValueError:
        wrong, secret = True, ""
    if secret:
        raise UsageError(
            f"an endpoint's URL ends with its path and holds no user or key; put the key into {KEY_VARIABLES[0]}"
        )
    if wrong:
        raise UsageError(f"{url} is no http(s) URL; name the base URL of a server, such as http://localhost:8000/v1")
    return url.rstrip("/")


def _seed(sampling: Sampling, sample: Sample, draw: int) -> int:
    """A greedy answer's is the seed itself; each drawn answer has one of its own, the same in every order of asking."""
    if not sampling.temperature:
        return sampling.seed
    return int(digest_of_json([sampling.seed, sample.id, draw])[:7], 16)


@lru_cache(maxsize=32)  # neighbours ask about the same picture
def _data_url(picture: Picture) -> str:
    """The picture as a PNG, which loses nothing."""
    buffer = io.BytesIO()
    open_picture(picture).save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"

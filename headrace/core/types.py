"""What crosses a process: the request, what became of it, and the words for its states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from pydantic import TypeAdapter

PAYLOAD_VERSION = 5
"""Version of the encoded `Request`: older ones lack fields, newer ones wait for newer workers."""

RULES_VERSION, TRACED_VERSION, FIRST_VERSION = 4, 3, 2
"""Of a request with `LATER_RULES`, of one with a `traceparent`, and of one that needs neither.

Only a traced chat needs `PAYLOAD_VERSION`: `is_chat` is encoded for the names of spans.
"""

LATER_RULES: dict[str, Any] = {
    "min_tokens": 0,
    "ignore_eos": False,
    "stop_token_ids": (),
    "skip_special_tokens": True,
    "logit_bias": (),
    "expected_tokens": 0,
}
"""Fields of `Sampling` that came with `RULES_VERSION`, and their defaults.

Only those that are set are encoded, so that older workers run all other requests.
"""

AHEAD_TOKENS = 64
"""Output tokens ahead of a request without a limit that have their places in the cache."""

LEAST_LEFT_TOKENS = 16
"""Output tokens that are expected of one that has outgrown what was expected."""

IMPOSSIBLE = -9999.0
"""Logprob of a token that cannot be drawn, as OpenAI writes it."""

DEFAULT_TENANT = "default"
"""Tenant of whoever names none."""

CANARY_TENANT = "headrace:canary"
"""Tenant of the monitor's own jobs; no API key can have it."""


class Priority(StrEnum):
    """Order in which workers take waiting jobs; each is an RQ queue of its own."""

    INTERACTIVE = "interactive"
    DEFAULT = "default"
    BATCH = "batch"


class JobState(StrEnum):
    """The states that users see. `rq_adapter.job_state` maps RQ's own onto them."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


class FinishReason(StrEnum):
    """Why a sequence ended well; the values are those of the OpenAI API."""

    STOP = "stop"
    LENGTH = "length"


SCHEMA_VIOLATION = "schema_violation"
"""Reason, and error code, of a job whose answer does not fit its JSON schema."""


class Feature(StrEnum):
    """What a request may ask for that not every engine can do."""

    TOP_LOGPROBS = "top_logprobs"
    """The logprobs of tokens that were not drawn."""

    JSON_SCHEMA = "json_schema"

    LOGIT_BIAS = "logit_bias"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the tokens of one request are drawn.

    `temperature` 0 is greedy; `top_k` 0, `top_p` 1, `min_p` 0, `repetition_penalty` 1 and the other
    penalties at 0 are off. The repetition penalty heeds prompt and output, as transformers' does;
    presence and frequency the output alone, as OpenAI's. `logprobs` is how many alternatives each
    token is reported with: 0 only the token itself, None nothing. `json_schema` is the text of a
    schema that the output has to fit. The draw of a token depends only on `seed` and the token's
    place, so that another worker continues the same sequence.

    `stop_token_ids` end the output like an end of sequence, which `ignore_eos` makes an ordinary
    token. Neither is drawn, and no stop string looked for, among the first `min_tokens`.
    `skip_special_tokens` False gives special tokens their text. `logit_bias` are pairs of a token
    id and what is added to its logit, before the penalties.

    `expected_tokens` is how long the output will probably be where the caller named no limit: then
    `max_tokens` is the rest of the context. 0 says that the caller named `max_tokens` itself.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: int | None = None
    json_schema: str | None = None
    min_tokens: int = 0
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    skip_special_tokens: bool = True
    logit_bias: tuple[tuple[int, float], ...] = ()
    expected_tokens: int = 0

    @property
    def needs(self) -> frozenset[Feature]:
        """What of this not every engine can do."""
        asked = {
            Feature.TOP_LOGPROBS: self.logprobs,
            Feature.JSON_SCHEMA: self.json_schema,
            Feature.LOGIT_BIAS: self.logit_bias,
        }
        return frozenset(feature for feature, value in asked.items() if value)

    @property
    def later_rules(self) -> dict[str, Any]:
        """Those of the `LATER_RULES` that are set."""
        values = _later_values(self)
        if values == _LATER_DEFAULTS:
            return {}
        both = zip(LATER_RULES.items(), values, strict=True)
        return {name: value for (name, default), value in both if value != default}

    def encode(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIRST_RULES} | self.later_rules


_FIRST_RULES = [name for name in Sampling.__slots__ if name not in LATER_RULES]
_LATER_DEFAULTS = tuple(LATER_RULES.values())
_later_values = attrgetter(*LATER_RULES)


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, tokenised, on its way to an engine.

    `card_hash` names the model card whose tokenizer made `prompt_ids`; `deadline_s` counts from
    acceptance, `ttl_s` from the end: so long the job is kept, None as long as the setting says.
    `tokenize_s` is what templating and tokenising took in the API; `request_id` is that of the HTTP
    request which brought it, `traceparent` its span (W3C Trace Context) where it is traced.
    `is_chat` is true of a request that was made of messages.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    id: str
    model: str
    card_hash: str
    prompt_ids: tuple[int, ...]
    sampling: Sampling
    tenant: str = DEFAULT_TENANT
    priority: Priority = Priority.DEFAULT
    deadline_s: float | None = None
    tokenize_s: float = 0.0
    request_id: str = ""
    ttl_s: int | None = None
    traceparent: str = ""
    is_chat: bool = False

    @property
    def cost_tokens(self) -> int:
        """The most cache places that this request can fill."""
        return len(self.prompt_ids) + self.sampling.max_tokens

    @property
    def charged_tokens(self) -> int:
        """Tokens that this request counts for in the queue, before it has made any."""
        return len(self.prompt_ids) + self.left_tokens(0)

    def kept_tokens(self, made: int) -> int:
        """Returns the cache places to keep for this request once it has `made` output tokens."""
        left = self.sampling.max_tokens - made
        ahead = min(left, AHEAD_TOKENS) if self.sampling.expected_tokens else left
        return len(self.prompt_ids) + made + max(0, ahead)

    def left_tokens(self, made: int) -> int:
        """Returns how many output tokens will probably come behind the `made` ones.

        All that are allowed, where the caller named a limit.
        """
        rules = self.sampling
        most = max(0, rules.max_tokens - made)
        if not rules.expected_tokens:
            return most
        return min(most, max(rules.expected_tokens - made, LEAST_LEFT_TOKENS))

    @property
    def version(self) -> int:
        """The oldest that can hold it: older workers run what they can."""
        if self.traceparent and self.is_chat:
            return PAYLOAD_VERSION
        if self.sampling.later_rules:
            return RULES_VERSION
        return TRACED_VERSION if self.traceparent else FIRST_VERSION

    def encode(self) -> dict[str, Any]:
        fields = dict(zip(self.__slots__, _REQUEST_VALUES(self), strict=True))
        if not self.traceparent:
            del fields["traceparent"]
        if not (self.traceparent and self.is_chat):
            del fields["is_chat"]
        return {"version": self.version} | fields | {"sampling": self.sampling.encode()}

    @staticmethod
    def decode(payload: Mapping[str, Any], **changes: Any) -> Request:
        """`changes` replace fields of the payload.

        Raises `ValueError` for a payload of another version or shape.
        """
        version = payload.get("version")
        if version not in range(1, PAYLOAD_VERSION + 1):
            raise ValueError(f"payload version {version!r}, this worker knows {PAYLOAD_VERSION}")
        fields = {**payload, **changes}
        del fields["version"]
        try:
            return _request_adapter().validate_python(fields)
        except ValueError:  # its text would quote the prompt's ids
            raise ValueError("malformed payload: not the fields of a request") from None


_REQUEST_VALUES = attrgetter(*Request.__slots__)


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """The natural logarithm of an output token's probability, and those of the likeliest.

    `top` are pairs of id and logprob, likeliest first.
    """

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()

    def encode(self) -> list[Any]:
        """Short enough for thousands: the id, the logprob, `[id, logprob]` of each of `top`."""
        return [self.token_id, _short(self.logprob), [[i, _short(value)] for i, value in self.top]]

    @staticmethod
    def decode(fields: Sequence[Any]) -> TokenLogprobs:
        token_id, logprob, top = fields
        return TokenLogprobs(token_id, logprob, tuple((i, value) for i, value in top))


class Delta(NamedTuple):
    """Output that one engine step, or several in a row, added to one request.

    It is a tuple, which is made, and sent to another process, in a fifth of the time.

    `text` may lag behind `token_ids` while it could still become part of a character or a stop
    string. The last delta of a request has a `finish_reason` or an `error`; `may_pass` says that
    the error is not the request's own: another try may succeed. `logprobs` has one entry a token,
    where the request asked for them. `cached_tokens` of the prompt were not read, since an earlier
    request had begun with them. `prefill_s` and `decode_s` are the seconds of model time this
    request has shared so far.
    """

    request_id: str
    token_ids: tuple[int, ...] = ()
    text: str = ""
    logprobs: tuple[TokenLogprobs, ...] | None = None
    finish_reason: FinishReason | None = None
    error: str | None = None
    may_pass: bool = False
    cached_tokens: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0

    @property
    def is_last(self) -> bool:
        return self.finish_reason is not None or self.error is not None

    def then(self, later: Delta) -> Delta:
        """Both as one."""
        has_logprobs = self.logprobs is not None or later.logprobs is not None
        return later._replace(
            token_ids=self.token_ids + later.token_ids,
            text=self.text + later.text,
            logprobs=(self.logprobs or ()) + (later.logprobs or ()) if has_logprobs else None,
        )


@dataclass(frozen=True, slots=True)
class Room:
    """What an engine can still take: requests, and the cache places to keep for them.

    `tokens` below zero are places that its requests will probably lack: they grew longer than was
    expected.
    """

    slots: int
    tokens: int


NO_ROOM = Room(slots=0, tokens=0)


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters since the engine was loaded; `prefill_tokens` were read, `cached_tokens` reused."""

    running: int = 0
    slots: int = 0
    steps: int = 0
    rows: int = 0
    prefill_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    busy_s: float = 0.0

    def plus(self, others: EngineStats) -> EngineStats:
        """The sum of both counters; `running` and `slots` are those of `self`."""
        counted = ("steps", "rows", "prefill_tokens", "cached_tokens", "output_tokens", "busy_s")
        sums = {name: getattr(self, name) + getattr(others, name) for name in counted}
        return replace(self, **sums)

    @property
    def mean_batch_size(self) -> float:
        """Rows a step, over all steps that ran."""
        return self.rows / self.steps if self.steps else 0.0


@cache
def _request_adapter() -> TypeAdapter[Request]:
    from pydantic import TypeAdapter  # late: `headrace --help` reads these types too

    return TypeAdapter(Request)


def _short(logprob: float) -> float:
    """Six digits, and a finite number for what is impossible: JSON knows no other."""
    return round(max(logprob, IMPOSSIBLE), 6)

"""JSON -> core types. Bodies are strict: an unknown field or a wrong type is refused by name."""

from __future__ import annotations

import hashlib
import secrets
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from api.messages import Messages
from api.neutral import meaningful, neutral_properties, switch_schemas
from api.prompts import Prompt, Prompts
from api.response_format import ResponseFormat
from api.template_kwargs import TemplateKwargs
from headrace.core.errors import InvalidRequest
from headrace.core.sampling_defaults import (
    MinP,
    RepetitionPenalty,
    SamplingDefaults,
    Temperature,
)
from headrace.core.types import Priority, Sampling

SEED_BITS = 63
MAX_STOPS, MAX_STOP_CHARACTERS = 4, 1024
"""Most stop strings, and characters of one: each is looked for at every token."""

MAX_STOP_TOKENS, MAX_BIASES = 256, 1024
"""Most entries of `stop_token_ids` and `logit_bias`."""

MAX_CHOICES = 16
"""Most choices of one prompt."""

MAX_JOBS = 64
"""Most jobs that one request becomes: a choice of a prompt is one."""

MAX_ALTERNATIVES, MAX_COMPLETION_ALTERNATIVES = 20, 5
"""Most alternatives of a token in the logprobs of a chat and of a completion."""

OWN = "Left out, it is the model's own: `sampling_defaults` of `/v1/models` says it."

STOP_TOKENS = "Token ids that end the output and are no part of its text."
MIN_TOKENS = "Tokens before which neither an end of sequence nor any other stop counts."

LEAST_TOP_P = 1e-6
"""Smallest `top_p` that an engine is asked for."""

PROBLEMS = {
    "extra_forbidden": ("no such field; leave it out", "unknown_parameter"),
    "missing": ("has to be there", "missing_required_parameter"),
}
"""Words and codes for what pydantic finds, where its own are not enough."""

HANG_UP = (
    "What becomes of the job if the caller hangs up. Left out, OpenAI's routes cancel it"
    " (HEADRACE_ON_DISCONNECT), unless the request has an Idempotency-Key; others let it go on."
)

LIMITED_BY = "x-limited-by"
"""In the schema of a field: the setting that is its maximum."""


def _as_stops(value: Any) -> Any:
    """One becomes a list of one; an empty text stops nothing."""
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        return stops
    return [stop for stop in stops if stop != ""]


def _as_limit(value: Any) -> Any:
    """By -1 other servers mean that there is none."""
    return None if value == -1 and type(value) is int else value


def _as_priority(value: Any) -> Any:
    """vLLM's clients say 0 for the usual one."""
    return Priority.DEFAULT if value == 0 and type(value) is int else value


def _or_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    if {"type": "null"} in schema.get("anyOf", []):
        return schema
    notes = {name: schema[name] for name in ("default", "description") if name in schema}
    own = {name: value for name, value in schema.items() if name not in notes}
    return {"anyOf": [own, {"type": "null"}]} | notes


def _least_top_p(top_p: float) -> float:
    """Of no probability at all only the likeliest token is left; engines want a number above 0."""
    return top_p or LEAST_TOP_P


def _off(top_k: int) -> int:
    """By -1 other servers mean that any token may be drawn, which is 0 here."""
    return max(0, top_k)


Stops = Annotated[
    list[Annotated[str, Field(max_length=MAX_STOP_CHARACTERS)]], Field(max_length=MAX_STOPS)
]
TokenLimit = Annotated[
    Annotated[int, Field(ge=1)] | None,
    BeforeValidator(
        _as_limit, json_schema_input_type=Literal[-1] | Annotated[int, Field(ge=1)] | None
    ),
]
""" -1, like null, names no limit."""

AskedTopP = Annotated[float, Field(ge=0, le=1), AfterValidator(_least_top_p)]
AskedTopK = Annotated[int, Field(ge=-1), AfterValidator(_off)]
TokenId = Annotated[int, Field(ge=0)]
TokenIdText = Annotated[str, Field(pattern="^(0|[1-9][0-9]{0,9})$")]
"""The id of a token as the name of a field, which JSON writes as text."""


def _few_biases(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > MAX_BIASES:
        raise ValueError(f"{len(value)} token ids, at most {MAX_BIASES}")
    return value


Biases = Annotated[
    dict[TokenIdText, Annotated[float, Field(ge=-100, le=100)]],
    Field(max_length=MAX_BIASES, json_schema_extra={"additionalProperties": False}),
    BeforeValidator(_few_biases),
]
PriorityName = Annotated[Priority, Field(strict=False)]
AskedPriority = Annotated[
    PriorityName, BeforeValidator(_as_priority, json_schema_input_type=Literal[0] | PriorityName)
]
OnDisconnect = Literal["continue", "cancel"]
NO_DEFAULTS = SamplingDefaults()
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class StreamOptions(BaseModel):
    model_config = STRICT

    include_usage: bool = False
    continuous_usage_stats: bool = False
    include_obfuscation: Literal[False] = False


class StrictBody(BaseModel):
    model_config = STRICT

    @classmethod
    def parse(cls, body: Any) -> Self:
        """Raises `InvalidRequest`, naming the first field that is wrong."""
        if not isinstance(body, dict):
            raise InvalidRequest("the body must be a JSON object", "body")
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise _refused(error.errors(include_url=False, include_input=False)[0]) from error


def _refused(problem: ErrorDetails) -> InvalidRequest:
    param = ".".join(str(part) for part in problem["loc"]) or "body"
    text, code = PROBLEMS.get(problem["type"], (problem["msg"], "invalid_value"))
    return InvalidRequest(f"{param}: {text}", param, code)


class Body(StrictBody):
    """What every way of asking has in common. `model` may be left out: there is only one.

    `priority`, `deadline_s`, `ttl_s` and `on_disconnect` are ours, on OpenAI's routes as well
    (`extra_body` in its client).
    """

    model: str | None = None
    max_tokens: TokenLimit = None
    temperature: Temperature | None = Field(None, description=OWN)
    top_p: AskedTopP | None = Field(None, description=OWN)
    top_k: AskedTopK | None = Field(None, description=OWN)
    min_p: MinP | None = Field(None, description=OWN)
    repetition_penalty: RepetitionPenalty | None = Field(None, description=OWN)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    seed: int | None = Field(None, ge=-(2**SEED_BITS), lt=2**SEED_BITS)
    stop: Annotated[Stops, BeforeValidator(_as_stops, json_schema_input_type=str | Stops)] = []
    stop_token_ids: list[TokenId] = Field([], max_length=MAX_STOP_TOKENS, description=STOP_TOKENS)
    ignore_eos: bool = Field(False, description="Go on behind an end of sequence.")
    min_tokens: int = Field(0, ge=0, description=MIN_TOKENS)
    skip_special_tokens: bool = Field(True, description="False: special tokens have text.")
    logit_bias: Biases = Field({}, description="Added to the logits of token ids.")
    response_format: ResponseFormat = ResponseFormat(type="text")
    priority: AskedPriority = Priority.DEFAULT
    deadline_s: float | None = Field(None, gt=0)
    ttl_s: int | None = Field(None, ge=1, json_schema_extra={LIMITED_BY: "result_ttl_max_s"})
    on_disconnect: OnDisconnect | None = Field(None, description=HANG_UP)

    @model_validator(mode="after")
    def _lets_a_grammar_end(self) -> Self:
        """Once its JSON is complete, a grammar allows nothing but the end of sequence."""
        if self.response_format.type == "text":
            return self
        for param, is_set in (("ignore_eos", self.ignore_eos), ("min_tokens", self.min_tokens)):
            if is_set:
                message = f"{param}: not with a response_format of JSON, which ends by itself"
                raise InvalidRequest(message, param)
        return self

    @model_validator(mode="before")
    @classmethod
    def _drop_neutral(cls, body: dict[str, Any]) -> dict[str, Any]:
        return meaningful(body, cls.model_fields)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """As bodies are read: null leaves a field out, neutral values are taken."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        fields, required = schema["properties"], schema.get("required", [])
        nullable = {
            name: field if name in required else _or_null(field) for name, field in fields.items()
        }
        schema["properties"] = neutral_properties() | nullable
        schema["additionalProperties"] = {"type": "null"}
        schema["allOf"] = switch_schemas()
        return schema

    @property
    def output_limit(self) -> int | None:
        """Most output tokens; None where the caller names no limit."""
        return self.max_tokens

    @property
    def wanted_logprobs(self) -> int | None:
        """How many alternatives each token is reported with; None for no logprobs at all."""
        return None

    @cached_property
    def first_seed(self) -> int:
        """A missing seed is drawn here, once: every attempt of the job draws the same tokens."""
        seed = secrets.randbits(SEED_BITS) if self.seed is None else self.seed
        return seed % (1 << SEED_BITS)

    def sampling(
        self,
        max_tokens: int,
        index: int = 0,
        defaults: SamplingDefaults = NO_DEFAULTS,
        expected_tokens: int = 0,
    ) -> Sampling:
        """Returns the rules of the choice with this index.

        `max_tokens` is the limit that fits the model, `expected_tokens` as in `Sampling`.
        """
        rules = dict(defaults)
        for name in rules:
            if (named := getattr(self, name)) is not None:
                rules[name] = named
        return Sampling(
            max_tokens=max_tokens,
            expected_tokens=expected_tokens,
            **rules,
            seed=_seed_of(self.first_seed, index),
            stop=tuple(self.stop),
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logprobs=self.wanted_logprobs,
            json_schema=self.response_format.schema_text,
            min_tokens=self.min_tokens,
            ignore_eos=self.ignore_eos,
            stop_token_ids=tuple(self.stop_token_ids),
            skip_special_tokens=self.skip_special_tokens,
            logit_bias=tuple((int(id_), bias) for id_, bias in self.logit_bias.items() if bias),
        )


def _seed_of(first_seed: int, index: int) -> int:
    """The first choice has the request's own, so that another `n` leaves it as it is."""
    if index == 0:
        return first_seed
    digest = hashlib.blake2b(f"{first_seed} {index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % (1 << SEED_BITS)


class OpenAiBody(Body):
    """`n` is how many choices each prompt gets."""

    n: int = Field(1, ge=1, le=MAX_CHOICES)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()


class CompletionBody(OpenAiBody):
    prompt: Prompts
    logprobs: int | None = Field(None, ge=0, le=MAX_COMPLETION_ALTERNATIVES)

    @model_validator(mode="after")
    def _is_within_bounds(self) -> Self:
        jobs = len(self.prompt) * self.n
        if jobs > MAX_JOBS:
            raise InvalidRequest(f"prompt: {jobs} choices in all, at most {MAX_JOBS}", "prompt")
        return self

    @property
    def wanted_logprobs(self) -> int | None:
        return self.logprobs


class ChatBody(OpenAiBody):
    model_config = {
        "json_schema_extra": {
            "anyOf": [
                {"properties": {"top_logprobs": {"enum": [0, None]}}},
                {"properties": {"logprobs": {"const": True}}, "required": ["logprobs"]},
            ]
        }
    }

    messages: Messages
    chat_template_kwargs: TemplateKwargs = {}
    max_completion_tokens: TokenLimit = None
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=MAX_ALTERNATIVES)

    @model_validator(mode="after")
    def _asks_for_logprobs(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise InvalidRequest("top_logprobs: needs logprobs: true", "top_logprobs")
        return self

    @property
    def wanted_logprobs(self) -> int | None:
        return self.top_logprobs or 0 if self.logprobs else None

    @property
    def output_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


class JobBody(Body):
    """Exactly one of `prompt` and `messages`; `chat_template_kwargs` goes with messages."""

    model_config = {
        "json_schema_extra": {
            "oneOf": [
                {"properties": {name: {"not": {"type": "null"}}}, "required": [name]}
                for name in ("prompt", "messages")
            ]
        }
    }

    prompt: Prompt | None = None
    messages: Messages | None = None
    chat_template_kwargs: TemplateKwargs = {}

    @model_validator(mode="after")
    def _has_one_prompt(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise InvalidRequest("give either prompt or messages", "prompt")
        if self.chat_template_kwargs and self.messages is None:
            raise InvalidRequest("chat_template_kwargs: needs messages", "chat_template_kwargs")
        return self


class PriorityBody(StrictBody):
    priority: PriorityName


class ReplayBody(StrictBody):
    """`force` makes a job of its own of each call."""

    force: bool = False

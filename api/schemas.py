"""JSON -> core types. Bodies are strict: an unknown field or a wrong type is refused by name."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from headrace.core.errors import InvalidRequest
from headrace.core.types import Priority, Sampling

SEED_BITS = 63
MAX_STOPS = 4

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "store": (False,),
    "suffix": ("",),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "service_tier": ("auto", "default"),
}
"""Fields of the OpenAI API that Headrace takes only where they change nothing; null never does."""

IGNORED = frozenset({"user", "metadata", "safety_identifier", "prompt_cache_key"})
"""Fields that speak about the caller and change no answer."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_text(content: Any) -> Any:
    """Text parts, as the official client may send them, become one text."""
    if not isinstance(content, list):
        return content
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text":
            raise ValueError("only text parts are supported")
        if not isinstance(part.get("text"), str):
            raise ValueError("the text of a part must be a string")
    return "".join(part["text"] for part in content)


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: field for name, field in value.items() if field is not None}


Text = Annotated[str, Field(min_length=1)]
PriorityName = Annotated[Priority, Field(strict=False)]
OnDisconnect = Literal["continue", "cancel"]
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Message(BaseModel):
    model_config = STRICT

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_as_text)]


Messages = Annotated[list[Annotated[Message, BeforeValidator(_without_nulls)]], Field(min_length=1)]


class StreamOptions(BaseModel):
    model_config = STRICT

    include_usage: bool = False


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
            problem = error.errors(include_url=False, include_input=False)[0]
            param = ".".join(str(part) for part in problem["loc"]) or "body"
            raise InvalidRequest(f"{param}: {problem['msg']}", param) from error


class Body(StrictBody):
    """What every way of asking has in common. `model` may be left out: there is only one.

    `priority`, `deadline_s` and `on_disconnect` are ours, on OpenAI's routes as well (`extra_body`
    in its client).
    """

    model: str | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    seed: int | None = Field(None, ge=-(2**SEED_BITS), lt=2**SEED_BITS)
    stop: Annotated[list[Text], BeforeValidator(_as_list), Field(max_length=MAX_STOPS)] = []
    priority: PriorityName = Priority.DEFAULT
    deadline_s: float | None = Field(None, gt=0)
    on_disconnect: OnDisconnect = "continue"

    @model_validator(mode="before")
    @classmethod
    def _drop_neutral(cls, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if not cls._is_neutral(name, value)}

    @classmethod
    def _is_neutral(cls, name: str, value: Any) -> bool:
        if name in cls.model_fields:
            return value is None
        if name in IGNORED:
            return True
        if name not in NEUTRAL:
            return False
        if value is None or value in NEUTRAL[name]:
            return True
        raise InvalidRequest(f"{name}: this value is not supported", name, "unsupported_value")

    @property
    def output_limit(self) -> int | None:
        """Most output tokens; None where the caller names no limit."""
        return self.max_tokens

    def sampling(self, max_tokens: int) -> Sampling:
        """`max_tokens` is the limit that fits the model.

        A missing seed is drawn here, once: every attempt of the job draws the same tokens.
        """
        seed = secrets.randbits(SEED_BITS) if self.seed is None else self.seed
        return Sampling(
            max_tokens=max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            seed=seed % 2**SEED_BITS,
            stop=tuple(self.stop),
        )


class CompletionBody(Body):
    prompt: Text
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()


class ChatBody(Body):
    messages: Messages
    max_completion_tokens: int | None = Field(None, ge=1)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    @property
    def output_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


class JobBody(Body):
    """Exactly one of `prompt` and `messages`."""

    prompt: Text | None = None
    messages: Messages | None = None

    @model_validator(mode="after")
    def _has_one_prompt(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise InvalidRequest("give either prompt or messages", "prompt")
        return self


class PriorityBody(StrictBody):
    priority: PriorityName


class ReplayBody(StrictBody):
    """`force` makes a job of its own of each call."""

    force: bool = False

"""What OpenAI's routes answer with where they do not stream, as types."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from headrace.core.types import FinishReason


class EngineView(TypedDict):
    """How truly an engine answers: nats a token from the model's own probabilities, and the share
    of places with the same most likely token. All null where it was not measured."""

    engine: str
    dtype: str
    kl: float | None
    top1: float | None
    perplexity_ratio: float | None
    workers: int


class SamplingView(TypedDict):
    """Values for a request that leaves these fields out."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float


class ModelView(TypedDict):
    """`engines` are those of the live workers.

    `root` and `max_model_len` are the name and `context_tokens` again, as vLLM calls them: tools
    that speak to both look for these.
    """

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    max_model_len: int
    context_tokens: int
    engines: list[EngineView]
    sampling_defaults: SamplingView


class ModelList(TypedDict):
    object: Literal["list"]
    data: list[ModelView]


class PromptTokens(TypedDict):
    cached_tokens: int


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[PromptTokens]


class TokenView(TypedDict):
    """`bytes` are what the token stands for: one alone may be a part of a character only."""

    token: str
    logprob: float
    bytes: list[int]


class ChatToken(TokenView):
    top_logprobs: list[TokenView]


class ChatLogprobsView(TypedDict):
    content: list[ChatToken]
    refusal: None


class ChatMessage(TypedDict):
    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(TypedDict):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobsView | None
    finish_reason: FinishReason


class CompletionLogprobsView(TypedDict):
    """Four lists, one entry a token; offsets count characters of the choice's text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class CompletionChoice(TypedDict):
    index: int
    text: str
    logprobs: CompletionLogprobsView | None
    finish_reason: FinishReason


class Head(TypedDict):
    id: str
    created: int
    model: str


class ChatAnswer(Head):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: Usage


class CompletionAnswer(Head):
    object: Literal["text_completion"]
    choices: list[CompletionChoice]
    usage: Usage


Chunk = dict[str, Any]
"""A piece of an answer that streams."""

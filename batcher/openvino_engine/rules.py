"""From our rules of sampling to those of the pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import openvino_genai

from headrace.core.types import Feature, Sampling


def generation_config(
    sampling: Sampling, begun: int, ends: Collection[int], seed: int, grammar: str | None = None
) -> openvino_genai.GenerationConfig:
    """The rules behind an output of `begun` tokens; the id that ends it is among those it brings.

    `ends` are the ids that do. The output is held to `grammar`, in EBNF, where there is one.
    """
    config = openvino_genai.GenerationConfig(
        max_new_tokens=sampling.max_tokens - begun,
        min_new_tokens=max(0, sampling.min_tokens - begun) if ends else 0,
        do_sample=sampling.temperature > 0,
        repetition_penalty=sampling.repetition_penalty,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        logprobs=0 if sampling.logprobs is None else 1,
        ignore_eos=not ends,
        eos_token_id=min(ends, default=0),
        stop_token_ids=set(ends) or {0},
    )
    config.apply_chat_template = False
    if sampling.temperature > 0:
        _randomise(config, sampling, seed)
    if grammar is not None:
        config.structured_output_config = openvino_genai.StructuredOutputConfig(grammar=grammar)
    return config


def seed_of(sampling: Sampling, place: int) -> int:
    """32 bits that depend on the request's seed and on `place`, where its draws begin."""
    text = f"{sampling.seed} {place}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little")


def keeps_state(sampling: Sampling) -> bool:
    """Whether a token depends on more than the ids before it.

    On a generator of random numbers, or on which of the ids are output. Only generating again
    brings such a state back.
    """
    return (
        sampling.temperature > 0
        or sampling.presence_penalty != 0
        or sampling.frequency_penalty != 0
    )


def complaint(sampling: Sampling, features: Collection[Feature]) -> str | None:
    """Why an engine with these features cannot keep these rules."""
    if sampling.logprobs and Feature.TOP_LOGPROBS not in features:
        return (
            "logprobs: alternatives need the model a second time, for which the memory is too"
            " small; ask for 0 alternatives"
        )
    if sampling.logit_bias:
        return "logit_bias: this engine cannot change the logits of single tokens"
    return None


def _randomise(config: openvino_genai.GenerationConfig, sampling: Sampling, seed: int) -> None:
    config.temperature = sampling.temperature
    config.top_p = sampling.top_p
    config.min_p = sampling.min_p
    if sampling.top_k > 0:
        config.top_k = sampling.top_k
    config.rng_seed = seed

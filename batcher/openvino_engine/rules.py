"""From our rules of sampling to those of the pipeline."""

from __future__ import annotations

import hashlib

import openvino_genai

from batcher.openvino_engine.json_schema import unheld
from headrace.core.types import Sampling


def generation_config(
    sampling: Sampling, max_tokens: int, eos_token_ids: tuple[int, ...], seed: int
) -> openvino_genai.GenerationConfig:
    """`max_tokens` are those still to come; the end of sequence is among the ids it brings."""
    config = openvino_genai.GenerationConfig(
        max_new_tokens=max_tokens,
        do_sample=sampling.temperature > 0,
        repetition_penalty=sampling.repetition_penalty,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        logprobs=0 if sampling.logprobs is None else 1,
        ignore_eos=not eos_token_ids,
        eos_token_id=min(eos_token_ids, default=0),
        stop_token_ids=set(eos_token_ids) or {0},
    )
    config.apply_chat_template = False
    if sampling.temperature > 0:
        _randomise(config, sampling, seed)
    if sampling.json_schema is not None:
        config.structured_output_config = openvino_genai.StructuredOutputConfig(
            json_schema=sampling.json_schema
        )
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


def complaint(sampling: Sampling) -> str | None:
    """Why the pipeline cannot keep these rules."""
    if sampling.logprobs:
        return (
            "logprobs: this engine knows the logprob of each token, not of its alternatives;"
            " ask for 0 alternatives"
        )
    if sampling.json_schema is not None and (reason := unheld(sampling.json_schema)) is not None:
        return f"json_schema: {reason}"
    return None


def _randomise(config: openvino_genai.GenerationConfig, sampling: Sampling, seed: int) -> None:
    config.temperature = sampling.temperature
    config.top_p = sampling.top_p
    config.min_p = sampling.min_p
    if sampling.top_k > 0:
        config.top_k = sampling.top_k
    config.rng_seed = seed

"""What an engine does before its first job: it answers what its model is known to answer.

The first tokens are compared with those recorded when the model was prepared: a prompt that is
read in two steps, between others. What is decoded behind them beside other rows is compared with
what the engine says when it reads the same ids as a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from batcher.fidelity.prose import sample_ids
from batcher.fidelity.record import Probe
from batcher.warm_up import Runner, run
from headrace.core.errors import SelfCheckError
from headrace.core.model_card import ModelCard
from headrace.core.types import Request, Sampling, TokenLogprobs

SURE = 1.0
"""A token that leads by so many nats is chosen in every number format."""

MOST_OFF_RECORDED, MOST_OFF_READ = 0.1, 0.3
"""Nats: how far logprobs may be off in the mean, at places that are sure and at any.

SmolLM2 in bfloat16 is 0.0005 off what was recorded, with its zero points rounded 0.13.
"""

DECODED = 4
"""Tokens behind each prompt."""


def check_answers(engine: Runner, card: ModelCard, probes: Sequence[Probe]) -> None:
    """Raises `SelfCheckError` where the engine answers otherwise than its model, or than itself."""
    ids = sample_ids(card)
    fitting = [probe for probe in probes if probe.length + DECODED <= card.context_tokens]
    prompts = [ids[: probe.length] for probe in fitting]
    chosen = _generate(engine, card, prompts, DECODED)
    _compare_first(card, fitting, [tokens[:1] for tokens in chosen])
    decoded = [
        (prompt, tokens) for prompt, tokens in zip(prompts, chosen, strict=True) if len(tokens) > 1
    ]
    again = [(*prompt, *(one.token_id for one in tokens[:-1])) for prompt, tokens in decoded]
    read = _generate(engine, card, again, 1)
    _compare_last(card, [tokens for _prompt, tokens in decoded], read)


def _compare_first(
    card: ModelCard, probes: Sequence[Probe], chosen: Sequence[Sequence[TokenLogprobs]]
) -> None:
    off = []
    for probe, tokens in zip(probes, chosen, strict=True):
        is_same = bool(tokens) and tokens[0].token_id == probe.token_id
        if not is_same and probe.lead > SURE:
            raise SelfCheckError(
                f"the model {card.name} does not answer here as it should: behind {probe.length}"
                f" tokens it has to choose token {probe.token_id}; prepare it anew"
            )
        if is_same:
            off.append(abs(tokens[0].logprob - probe.logprob))
    _require(card, off, MOST_OFF_RECORDED, "what was recorded")


def _compare_last(
    card: ModelCard,
    decoded: Sequence[Sequence[TokenLogprobs]],
    read: Sequence[Sequence[TokenLogprobs]],
) -> None:
    """Two tokens may differ where they are about as likely."""
    off = [
        abs(one[-1].logprob - other[0].logprob)
        for one, other in zip(decoded, read, strict=True)
        if other
    ]
    _require(card, off, MOST_OFF_READ, "what it says to the same tokens as a prompt")


def _require(card: ModelCard, off: Sequence[float], most: float, what: str) -> None:
    mean = sum(off) / len(off) if off else 0.0
    if mean > most:
        raise SelfCheckError(
            f"the model {card.name} does not answer here as it should: its logprobs are"
            f" {mean:.2f} nats off {what}, at most {most:g}"
        )


def _generate(
    engine: Runner, card: ModelCard, prompts: Sequence[tuple[int, ...]], tokens: int
) -> list[list[TokenLogprobs]]:
    """Greedy tokens of all the prompts, made together; fewer where one ends."""
    rules = Sampling(max_tokens=tokens, temperature=0.0, logprobs=0)
    requests = [
        Request(f"check-{number}", card.name, card.hash, prompt, rules)
        for number, prompt in enumerate(prompts)
    ]
    return list(run(engine, requests).values()) if requests else []

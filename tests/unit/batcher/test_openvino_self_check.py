"""What an OpenVINO engine proves of itself before its first job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from batcher.fidelity.prose import sample_ids
from batcher.fidelity.record import Probe
from batcher.openvino_engine.self_check import MOST_OFF_READ, MOST_OFF_RECORDED, SURE, check_answers
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard
from headrace.core.types import Delta, FinishReason, Request, TokenLogprobs

LENGTHS = (9, 40)


class FakeEngine:
    """Answers with the token 5; `off` is added to the logprobs of its decoded tokens."""

    def __init__(self, off: float = 0.0, token_id: int = 5) -> None:
        self.prompts: list[tuple[int, ...]] = []
        self._off = off
        self._token_id = token_id
        self._waiting: list[Request] = []

    def add(self, request: Request) -> None:
        self.prompts.append(request.prompt_ids)
        self._waiting.append(request)

    def step(self) -> list[Delta]:
        deltas = [self._answer(request) for request in self._waiting]
        self._waiting.clear()
        return deltas

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    def _answer(self, request: Request) -> Delta:
        count = request.sampling.max_tokens
        logprobs = [
            TokenLogprobs(self._token_id, -0.5 - (self._off if i else 0)) for i in range(count)
        ]
        ids = (self._token_id,) * count
        return Delta(request.id, ids, logprobs=tuple(logprobs), finish_reason=FinishReason.LENGTH)


def probes(token_id: int = 5, logprob: float = -0.5, lead: float = 2.0) -> list[Probe]:
    return [Probe(length, token_id, logprob, lead) for length in LENGTHS]


def test_an_engine_that_answers_as_recorded_passes(card: ModelCard) -> None:
    engine = FakeEngine()
    check_answers(engine, card, probes())
    ids = sample_ids(card)
    assert engine.prompts[:2] == [ids[:length] for length in LENGTHS]
    assert [len(prompt) for prompt in engine.prompts[2:]] == [length + 3 for length in LENGTHS]


def test_another_token_where_the_model_is_sure_is_told(card: ModelCard) -> None:
    with pytest.raises(ModelError, match="behind 9 tokens it has to choose token 6"):
        check_answers(FakeEngine(), card, probes(token_id=6))


def test_another_token_where_two_are_about_as_likely_is_none(card: ModelCard) -> None:
    check_answers(FakeEngine(), card, probes(token_id=6, lead=SURE / 2))


def test_logprobs_that_are_off_are_told(card: ModelCard) -> None:
    with pytest.raises(ModelError, match="nats off what was recorded"):
        check_answers(FakeEngine(), card, probes(logprob=-0.5 - 1.1 * MOST_OFF_RECORDED))


def test_a_row_that_decodes_otherwise_than_it_reads_is_told(card: ModelCard) -> None:
    with pytest.raises(ModelError, match="the same tokens as a prompt"):
        check_answers(FakeEngine(off=1.1 * MOST_OFF_READ), card, probes())


@pytest.mark.parametrize("recorded", [(), [Probe(250, 5, -9.0, 9.0)]])
def test_what_does_not_fit_the_context_is_not_asked(
    card: ModelCard, recorded: Sequence[Probe]
) -> None:
    check_answers(FakeEngine(), replace(card, context_tokens=64), recorded)

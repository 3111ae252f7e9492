"""200 random prompts, spread over five families, that arrive at random: all as `generate` says."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from batcher.model_store import PreparedModel
from batcher.torch_engine.engine import TorchEngine
from headrace.core.types import Request
from tests.integration.torch_engines import assert_greedy, engine_of, plain_model
from tests.unit.batcher.driving import Output, a_request, take

PROMPTS = 40
ABORTED = 10
LAST_ARRIVAL = 60


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes at one step and is aborted `lifetime` steps later, if not over."""

    request: Request
    step: int
    lifetime: int | None = None


def random_arrivals(random: Random) -> list[Arrival]:
    """Prompts of 1 to 150 ids; every third begins with one of three prefixes."""
    prefixes = [random_ids(random, random.randint(20, 60)) for _ in range(3)]
    arrivals = []
    for number in range(PROMPTS + ABORTED):
        prefix = random.choice(prefixes) if number % 3 == 0 else []
        ids = prefix + random_ids(random, random.randint(1, 150 - len(prefix)))
        request = a_request(f"r{number}", ids, max_tokens=random.randint(1, 20))
        lifetime = random.randint(0, 12) if number >= PROMPTS else None
        arrivals.append(Arrival(request, random.randint(0, LAST_ARRIVAL), lifetime))
    return arrivals


def random_ids(random: Random, count: int) -> list[int]:
    return [random.randrange(3, 310) for _ in range(count)]


def serve(engine: TorchEngine, arrivals: list[Arrival]) -> dict[str, Output]:
    outputs: dict[str, Output] = {}
    step = 0
    while step <= LAST_ARRIVAL or not engine.is_idle:
        for arrival in arrivals:
            if arrival.step == step:
                engine.add(arrival.request)
            if arrival.lifetime is not None and arrival.step + arrival.lifetime == step:
                engine.abort(arrival.request.id)
        take(engine.step(), outputs)
        step += 1
    return outputs


def test_random_prompts_that_arrive_at_random_are_answered_as_generate_does(
    tiny: PreparedModel,
) -> None:
    arrivals = random_arrivals(Random(tiny.card.name))
    outputs = serve(engine_of(tiny, max_slots=8, prefill_tokens=64), arrivals)
    model = plain_model(tiny)
    for arrival in arrivals:
        if arrival.lifetime is None:
            request = arrival.request
            output, max_tokens = outputs[request.id], request.sampling.max_tokens
            assert_greedy(model, request.prompt_ids, output, max_tokens)

"""What a load tester must not hide."""

from __future__ import annotations

from headrace.loadtest.loads import Limits
from headrace.loadtest.result import Result
from tests.load import closed, constant, load
from tests.openai_server import OpenAiServer

STALL_S = 5.0
REQUESTS = Limits(warmup_s=0.0, duration_s=None, requests=320)


def p99_s(result: Result) -> float:
    assert result.figures.e2e is not None
    assert result.figures.e2e.percentiles[99].supported
    return result.figures.e2e.percentiles[99].value


def test_an_open_loop_shows_a_stall_that_a_closed_loop_hides() -> None:
    """Coordinated omission: a user who waits sends nothing meanwhile."""
    with OpenAiServer(service_s=0.01, servers=100, stall=(40, STALL_S)) as server:
        [of_schedule] = load(server.url, constant(40), limits=REQUESTS)
    with OpenAiServer(service_s=0.01, servers=100, stall=(40, STALL_S)) as server:
        [of_users] = load(server.url, closed(1), limits=REQUESTS)
    assert 0.9 * STALL_S <= p99_s(of_schedule) <= 1.1 * STALL_S
    assert p99_s(of_users) < 0.1 * STALL_S

"""A job's stream of events: told once, and gone on with behind any of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import api.follower
from headrace.core.jobs.handover import Outcome, Publication
from headrace.core.jobs.job import Report
from tests import sse
from tests.bench import Bench
from tests.fakes import make_request
from tests.sse import Event
from tests.unit.core.jobs.steps import RESULT, claim_one

STREAM = "/v1/jobs/job-1/stream"


def read(client: FlaskClient, after: str | None = None) -> list[Event]:
    """The whole stream behind a place."""
    response = client.get(STREAM, headers={"Last-Event-ID": after} if after else {})
    assert response.status_code == 200, response.text
    return list(sse.parse(response.text.split("\n")))


def refusal(response: TestResponse) -> tuple[int, str]:
    assert response.json is not None
    return response.status_code, response.json["error"]["param"]


@pytest.fixture
def ended(bench: Bench) -> None:
    """Two tokens were published, a third one came with the end."""
    bench.submit(make_request(max_tokens=3))
    claim = claim_one(bench.queue)
    bench.queue.publish(
        [Publication(claim, number, [number], "ab"[number - 1], 0) for number in (1, 2)]
    )
    outcome = Outcome(claim, Report(), 3, (3,), "c", result=RESULT, reason="length")
    bench.queue.finish("worker-1", [outcome])


@pytest.mark.usefixtures("ended")
def test_a_job_that_has_ended_streams_its_tokens_and_its_end(client: FlaskClient) -> None:
    assert read(client) == [
        Event("token", {"index": 0, "text": "a", "token_ids": [1]}, "1-0"),
        Event("token", {"index": 1, "text": "b", "token_ids": [2]}, "2-0"),
        Event("token", {"index": 2, "text": "c", "token_ids": [3]}, "3-1"),
        Event(
            "end",
            {
                "status": "succeeded",
                "finish_reason": "length",
                "reason": None,
                "usage": {"prompt_tokens": 5, "completion_tokens": 3},
            },
            "3-2",
        ),
    ]


@pytest.mark.usefixtures("ended")
def test_a_reader_that_was_cut_off_anywhere_gets_exactly_the_rest(client: FlaskClient) -> None:
    whole = read(client)

    for place, event in enumerate(whole[:-1], start=1):
        assert read(client, after=event.id) == whole[place:]


@pytest.mark.usefixtures("ended")
def test_who_has_the_end_is_told_to_come_back_no_more(client: FlaskClient) -> None:
    response = client.get(STREAM, headers={"Last-Event-ID": "3-2"})

    assert (response.status_code, response.data) == (204, b"")


@pytest.mark.usefixtures("ended")
def test_the_place_may_stand_in_the_address_and_the_header_is_newer(client: FlaskClient) -> None:
    def first(response: TestResponse) -> str | None:
        return next(sse.parse(response.text.split("\n"))).id

    assert first(client.get(f"{STREAM}?after=1-0")) == "2-0"
    assert first(client.get(f"{STREAM}?after=1-0", headers={"Last-Event-ID": "2-0"})) == "3-1"
    assert first(client.get(STREAM, headers={"Last-Event-ID": ""})) == "1-0"


@pytest.mark.parametrize("place", ["1", "x-0", "1-3", "-1-0", "4-0", "1-0-0", "\u0661-0", "9" * 30])
@pytest.mark.usefixtures("ended")
def test_what_is_no_place_of_the_stream_is_refused_by_its_name(
    client: FlaskClient, place: str
) -> None:
    assert refusal(client.get(STREAM, query_string={"after": place})) == (400, "after")
    if place.isascii():
        response = client.get(STREAM, headers={"Last-Event-ID": place})
        assert refusal(response) == (400, "Last-Event-ID")


def test_the_stream_of_an_unknown_job_is_not_found(client: FlaskClient) -> None:
    assert client.get("/v1/jobs/nobody/stream").status_code == 404


def test_a_stream_says_how_to_be_read(client: FlaskClient, bench: Bench) -> None:
    bench.submit(make_request(max_tokens=1))
    bench.turn(1)
    response = client.get(STREAM)

    assert response.mimetype == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Headrace-Job-Id"] == "job-1"
    assert response.text.startswith("retry: 1000\n\n")


def test_a_reader_that_comes_early_gets_its_place_in_the_queue_and_every_token(
    client: FlaskClient, bench: Bench
) -> None:
    bench.submit(make_request(max_tokens=3))
    worker = threading.Timer(0.05, bench.turn, [3])
    worker.start()

    position, *events = read(client)
    worker.join()
    assert (position.name, position.data, position.id) == ("position", {"position": 0}, None)
    assert (sse.text(events), sse.indices(events)) == ("hel", [0, 1, 2])


def test_a_waiting_reader_is_told_how_the_queue_moves(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.follower, "KEEP_ALIVE_S", 0.02)
    bench.submit(make_request("first"), make_request())
    stream = client.get(STREAM, buffered=False)
    blocks = iter(stream.response)
    assert [b'"position": 1' in next(blocks) for _block in range(3)] == [False, True, True]

    bench.queue.cancel("first")
    while b'"position": 0' not in next(blocks):
        pass
    bench.turn(1)
    while next(blocks) != b"\n":
        pass
    stream.close()


def test_many_readers_read_the_same(client: FlaskClient, bench: Bench) -> None:
    bench.submit(make_request(max_tokens=20))

    def reader(_number: int) -> list[Event]:
        return read(client.application.test_client())

    with ThreadPoolExecutor(3) as readers:
        streams = readers.map(reader, range(3))
        bench.turn(20)
        told = [[event for event in stream if event.id] for stream in streams]
    assert told[0] == told[1] == told[2]
    assert (sse.text(told[0]), sse.indices(told[0])) == (bench.text(), list(range(20)))


def test_a_cancelled_job_ends_its_stream_and_says_why(client: FlaskClient, bench: Bench) -> None:
    bench.submit(make_request(max_tokens=50))
    bench.turn(2)
    bench.queue.cancel("job-1")

    *told, end = read(client)
    assert (end.name, end.id) == ("end", "2-2")
    assert (end.data["status"], end.data["finish_reason"]) == ("cancelled", None)
    assert end.data["reason"] == "cancelled"
    assert end.data["usage"] == {"prompt_tokens": 5, "completion_tokens": 2}
    assert sse.indices(told) == [0, 1]


def test_what_a_second_worker_adds_goes_on_where_the_first_one_died(
    client: FlaskClient, bench: Bench
) -> None:
    bench.submit(make_request(max_tokens=4))
    bench.turn(2)
    bench.leases.take_back("worker-1")
    bench.worker.running.clear()
    other = Bench(bench.redis, bench.queue.settings, name="worker-2")
    other.turn(4)

    events = read(client)
    assert (sse.text(events), sse.indices(events)) == ("hell", [0, 1, 2, 3])

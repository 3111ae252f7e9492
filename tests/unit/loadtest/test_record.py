from __future__ import annotations

import pytest

from headrace.loadtest.record import ServerTimes
from tests.unit.loadtest.making import SERVER, a_failure, a_record

UNSEEN = {"first_token": None, "last_token": None}


def test_latency_counts_from_the_scheduled_send() -> None:
    record = a_record(scheduled=10.0, sent=12.0, first_token=13.0, done=15.0)
    assert (record.e2e_s, record.ttft_s, record.late_s) == (5.0, 3.0, 2.0)


def test_the_time_of_a_token_counts_those_after_the_first() -> None:
    assert a_record(first_token=1.0, last_token=4.0, output_tokens=4).tpot_s == 1.0
    assert a_record(output_tokens=1).tpot_s is None


def test_what_the_client_cannot_see_the_server_says() -> None:
    record = a_record(sent=0.5, done=1.5, server=SERVER, **UNSEEN)
    assert record.ttft_s == pytest.approx(0.5 + 0.1 + 0.2 + 0.1)
    assert record.server_tpot_s == pytest.approx(0.3 / 3)


def test_without_a_server_that_speaks_it_stays_unknown() -> None:
    record = a_record(**UNSEEN)
    assert (record.ttft_s, record.tpot_s, record.server_tpot_s, record.delivery_s) == (None,) * 4


def test_delivery_is_what_the_server_does_not_account_for() -> None:
    record = a_record(sent=0.2, done=1.0, server=SERVER)
    assert record.delivery_s == pytest.approx(0.8 - 0.7)
    assert record.stage_s("delivery") == record.delivery_s
    assert record.stage_s("decode") == 0.3
    assert record.stage_s("tokenize") == 0.1


def test_a_failure_is_no_success() -> None:
    assert a_record().succeeded
    assert not a_failure().succeeded


def test_a_job_tells_its_times() -> None:
    timings = {"stages_ms": {"queue_wait": 200.0, "prefill": 100.0}, "tokenize_ms": 50.0}
    times = ServerTimes.of_job({"timings": timings, "batch_size": None})
    assert times.stages_s == {"queue_wait": 0.2, "prefill": 0.1}
    assert times.total_s == pytest.approx(0.35)
    assert times.ttft_s == pytest.approx(0.35)

from __future__ import annotations

from headrace.loadtest.validity import (
    clocks,
    complete,
    full_concurrency,
    generator_lag,
    littles_law,
    same_counts,
)


def test_little_holds_where_in_flight_is_rate_times_latency() -> None:
    check = littles_law(in_flight=10.2, latencies_s=[1.0] * 400, window_s=40)
    assert (check.status, check.says) == (
        "ok",
        "10.20 requests in flight, 10.00/s x 1.000 s = 10.00: 2.0% apart",
    )


def test_little_fails_where_a_queue_grows() -> None:
    """Twice the capacity of 10/s for 40 s: the backlog grows from 0 to 400."""
    latencies_s = [20 * number / 400 for number in range(400)]
    check = littles_law(in_flight=200, latencies_s=latencies_s, window_s=40)
    assert check.status == "failed"
    assert "no steady state" in check.says


def test_an_open_loop_that_sends_more_than_is_completed_says_so() -> None:
    latencies_s = [20 * number / 400 for number in range(400)]
    check = littles_law(in_flight=200, latencies_s=latencies_s, window_s=40, offered_per_s=20)
    assert check.status == "failed"
    assert check.says.endswith("the server cannot keep up, 20.0/s sent, 10.0/s completed")


def test_little_fails_where_a_queue_grows_slowly() -> None:
    """A tenth more than the capacity of 10/s, with answers of 1 s at the least."""
    latencies_s = [1 + 3.6 * number / 400 for number in range(400)]
    assert littles_law(in_flight=30.8, latencies_s=latencies_s, window_s=40).status == "failed"


def test_little_fails_where_a_queue_shrinks() -> None:
    assert littles_law(5, [1.0] * 400, window_s=40).status == "failed"


def test_a_window_too_short_for_batches_at_its_edges_says_how_long_would_do() -> None:
    check = littles_law(in_flight=30, latencies_s=[1.2] * 180, window_s=8)
    assert check.status == "failed"
    assert check.says.endswith("10.0% apart: too short a window, run 24 s")


def test_a_window_too_short_for_chance_at_its_edges_is_told_from_a_queue_that_grows() -> None:
    latencies_s = [0.5, 3.0] * 15
    assert "too short" in littles_law(3.1, latencies_s, window_s=20).says
    assert "no steady state" in littles_law(5.0, latencies_s, window_s=20).says


def test_little_fails_where_nothing_ended() -> None:
    assert littles_law(0, [], 40).status == "failed"
    assert littles_law(1, [], 40).status == "failed"


def test_users_of_a_closed_loop_are_always_busy() -> None:
    assert full_concurrency(14.9, 15, sending_s=40, errors=0).status == "ok"
    assert "could not keep up" in full_concurrency(14.0, 15, sending_s=40, errors=0).says
    assert "pause after an error" in full_concurrency(14.0, 15, sending_s=40, errors=9).says
    assert full_concurrency(0.0, 15, sending_s=0, errors=0).status == "unchecked"


def test_counts_are_the_servers() -> None:
    assert same_counts({"200": 5, "429": 1}, {"200": 5, "429": 1}, unsure=0).status == "ok"


def test_an_answer_that_the_server_did_not_count_is_a_failure() -> None:
    check = same_counts({"200": 5}, {"200": 4}, unsure=0)
    assert check.status == "failed"
    assert "200: 5, server 4" in check.says


def test_requests_of_others_are_a_failure() -> None:
    assert same_counts({"200": 5}, {"200": 6}, unsure=0).status == "failed"
    assert same_counts({"200": 5}, {"200": 5, "503": 1}, unsure=0).status == "failed"


def test_the_server_may_have_counted_what_we_did_not_hear_of() -> None:
    assert same_counts({"200": 5}, {"200": 6, "503": 1}, unsure=2).status == "ok"
    assert same_counts({"200": 5}, {"200": 5}, unsure=2).status == "ok"
    assert same_counts({"200": 5}, {"200": 4, "503": 1}, unsure=2).status == "failed"


def test_a_server_that_does_not_count_leaves_counts_unchecked() -> None:
    check = same_counts({"200": 5}, None, unsure=0)
    assert (check.status, check.says) == (
        "unchecked",
        "the server does not count headrace_requests_total",
    )


def test_a_late_generator_is_a_failure() -> None:
    on_time, late = [0.001] * 100, [0.001] * 90 + [0.02] * 10
    assert generator_lag(on_time, on_time, e2e_p50_s=0.1).status == "ok"
    assert generator_lag(late, on_time, e2e_p50_s=0.1).status == "failed"
    assert generator_lag(on_time, late, e2e_p50_s=0.1).status == "failed"


def test_long_answers_allow_a_later_generator() -> None:
    late = [0.02] * 100
    assert generator_lag(late, late, e2e_p50_s=1.0).status == "ok"


def test_a_level_without_a_tick_says_nothing_about_lag() -> None:
    assert generator_lag([], [], 1.0).status == "unchecked"


def test_a_server_that_accounts_for_more_than_the_client_saw_is_a_failure() -> None:
    assert clocks([0.004] * 99 + [-0.001]).status == "ok"
    assert clocks([0.004] * 90 + [-0.05] * 10).status == "failed"
    assert clocks([]).status == "unchecked"


def test_an_interrupted_or_empty_level_is_a_failure() -> None:
    assert complete(10, succeeded=9, left_open=0, is_interrupted=False).status == "ok"
    assert complete(0, succeeded=0, left_open=0, is_interrupted=False).status == "failed"
    interrupted = complete(10, succeeded=10, left_open=3, is_interrupted=True)
    assert interrupted.status == "failed"
    assert "3 requests were open" in interrupted.says


def test_a_level_without_a_success_is_a_failure() -> None:
    check = complete(10, succeeded=0, left_open=0, is_interrupted=False)
    assert (check.status, check.says) == ("failed", "none of 10 requests succeeded")

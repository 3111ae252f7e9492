from __future__ import annotations

from headrace.loadtest.server_counts import own_counts, parse_counts
from tests.unit.loadtest.making import a_failure, a_record

CHAT = "/v1/chat/completions"
PAGE = f"""\
# HELP headrace_requests_total Answers.
# TYPE headrace_requests_total counter
headrace_requests_total{{route="{CHAT}",code="200",method="POST"}} 7.0
headrace_requests_total{{route="{CHAT}",code="429",method="POST"}} 2.0
headrace_requests_total{{route="/v1/jobs",code="202",method="POST"}} 3.0
headrace_requests_total{{route="/v1/jobs",code="200",method="GET"}} 5.0
"""


def test_a_page_is_read_by_route_and_code() -> None:
    assert parse_counts(PAGE, CHAT) == {"200": 7, "429": 2}


def test_where_methods_are_told_apart_only_posts_count() -> None:
    assert parse_counts(PAGE, "/v1/jobs") == {"202": 3}


def test_a_page_of_another_server_has_no_counts() -> None:
    assert parse_counts("# TYPE up gauge\nup 1\n", CHAT) == {}
    assert parse_counts("<html>{</html>", CHAT) is None


def test_our_own_counts_leave_out_what_we_are_not_sure_of() -> None:
    records = [a_record(), a_failure(), a_failure(error="timeout", status=200)]
    records += [a_failure(error="connection", status=None), a_failure(error="bad_answer")]
    assert own_counts(records) == {"200": 1, "503": 2}

"""The load tester against a server that is not Headrace."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headrace.core.errors import Unavailable
from headrace.loadtest.api import ApiName
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.loads import Limits
from headrace.loadtest.result import Result
from tests.load import KeepsLevels, a_plan, closed, constant, load
from tests.openai_server import OpenAiServer, Trick


@pytest.mark.parametrize("api", ["stream", "sync"])
@pytest.mark.parametrize("path", ["", "/v1"])
def test_any_openai_server_can_be_measured(api: ApiName, path: str) -> None:
    with OpenAiServer(servers=2) as server:
        [result] = load(server.url + path, closed(2), api=api)
    figures = result.figures
    assert (figures.requests, figures.errors) == (20, {})
    assert figures.e2e is not None and figures.e2e.percentiles[50].value >= 0.01
    assert figures.output_tokens_per_s == pytest.approx(4 * figures.throughput)
    assert (figures.stages_s, figures.batch_size) == ({}, None)
    assert "counts: the server does not count headrace_requests_total" in result.remarks


def test_a_stream_shows_its_tokens() -> None:
    with OpenAiServer(service_s=0.04, tokens=4) as server:
        [result] = load(server.url, closed(1))
    ttft, tpot = result.figures.ttft, result.figures.tpot
    assert ttft is not None and ttft.percentiles[50].value >= 0.01
    assert tpot is not None and tpot.percentiles[50].value >= 0.009
    assert ttft.source == "client"


def test_a_whole_answer_shows_no_tokens() -> None:
    with OpenAiServer() as server:
        [result] = load(server.url, closed(1), api="sync")
    assert (result.figures.ttft, result.figures.tpot) == (None, None)


def test_without_usage_the_chunks_of_a_stream_are_counted() -> None:
    with OpenAiServer(has_usage=False) as server:
        [result] = load(server.url, closed(1))
    assert result.figures.output_tokens_per_s == pytest.approx(4 * result.figures.throughput)
    assert "no usage from the server: its chunks are counted as tokens" in result.remarks
    assert "no usage from the server: a word is taken for a token" in result.remarks


def test_prompts_have_the_length_that_was_asked_for() -> None:
    with OpenAiServer() as server:
        load(server.url, closed(1, prompt_tokens=25))
    words = {len(body["messages"][0]["content"].split()) for body in server.bodies[2:]}
    assert words == {10}


def test_prompts_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("Why?\nHow?\n")
    with OpenAiServer() as server:
        [result] = load(server.url, closed(1), prompts_file=tmp_path / "prompts")
    assert {body["messages"][0]["content"] for body in server.bodies[2:]} == {"Why?", "How?"}
    assert "prompts are repeated: the file has 2" in result.remarks


class Leaving(KeepsLevels):
    """Takes the server away after the first level."""

    def __init__(self, server: OpenAiServer) -> None:
        super().__init__()
        self._server = server

    def finished(self, result: Result) -> None:
        self._server.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("trick", "kind"),
    [
        (429, "http_429"),
        (503, "http_503"),
        ("drop", "connection"),
        ("garbage", "stream_error"),
        ("endless line", "bad_answer"),
        ("break", "stream_error"),
        ("error event", "job_failed"),
        ("failed job", "job_failed"),
    ],
)
def test_errors_are_counted_by_kind(trick: Trick, kind: str) -> None:
    with OpenAiServer(tricks=[trick, trick]) as server:
        [result] = load(server.url, closed(1))
    assert result.figures.errors == {kind: 2}
    assert result.figures.e2e is not None and result.figures.e2e.count == 18
    assert result.figures.goodput["slo"].share == pytest.approx(0.9)


def test_an_answer_that_is_none_is_an_error() -> None:
    with OpenAiServer(tricks=["garbage", "mad usage"]) as server:
        [result] = load(server.url, closed(1), api="sync")
    assert result.figures.errors == {"bad_answer": 2}


def test_what_the_server_says_about_an_error_is_kept_without_the_key() -> None:
    with OpenAiServer(tricks=[503]) as server:
        [result] = load(server.url, closed(1), api_key="sk-secret")
    assert result.figures.messages == {"http_503": "no, Bearer ***"}


def test_a_server_that_goes_away_ends_the_test_with_what_there_is() -> None:
    server = OpenAiServer().__enter__()
    test = LoadTest(a_plan(server.url, closed(1), closed(2)), Leaving(server))
    with pytest.raises(Unavailable, match="answers no more since level 1"):
        asyncio.run(test.run())
    assert [result.load.label for result in test.results] == ["1"]


def test_what_takes_too_long_is_an_error() -> None:
    with OpenAiServer(stall=(12, 0.5)) as server:
        [result] = load(server.url, closed(1), timeout_s=0.2)
    assert result.figures.errors == {"timeout": 2}


def test_counts_of_the_server_are_held_beside_ours() -> None:
    with OpenAiServer(counts=True, tricks=[503]) as server:
        [result] = load(server.url, closed(1))
    assert [check.status for check in result.checks if check.name == "counts"] == ["ok"]


def test_a_server_that_counted_others_as_well_marks_the_level() -> None:
    with OpenAiServer(counts=True, miscounts=3) as server:
        [result] = load(server.url, closed(1))
    assert not result.is_valid
    assert "200: 20, server 23" in result.problems[0]


def test_more_load_than_a_server_can_take_marks_the_level() -> None:
    limits = Limits(warmup_s=0.0, duration_s=1.5, requests=None)
    with OpenAiServer(service_s=0.04) as server:
        [result] = load(server.url, constant(50), limits=limits)
    assert any("little" in problem and "cannot keep up" in problem for problem in result.problems)


def test_levels_follow_each_other_and_are_compared_to_the_first() -> None:
    with OpenAiServer(service_s=0.01) as server:
        one, four = load(server.url, closed(1), closed(4))
    assert four.degradation(one)[50] > 2
    assert one.degradation(one) == {50: 1.0, 95: 1.0}


def test_the_key_is_sent() -> None:
    with OpenAiServer() as server:
        load(server.url, closed(1), api_key="secret")
    assert server.keys == {"Bearer secret"}


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(Unavailable, match=r"no API answers at http://127.0.0.1:1/v1/models"):
        load("http://127.0.0.1:1", closed(1))
    with pytest.raises(Unavailable, match=r"the first request .* failed: connection"):
        load("http://127.0.0.1:1", closed(1), model="other")

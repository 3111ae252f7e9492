from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.cli import job_watch
from headrace.cli.api_client import ApiClient, Event
from headrace.cli.main import cli
from headrace.core.errors import JobFailed, JobNotFound, Unavailable
from tests.unit.cli.fake_api import FakeApi


def job(job_id: str, status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": job_id,
        "status": status,
        "created_at": 1_700_000_000.0,
        "model": "smollm2",
        "priority": "default",
        "usage": None,
        "attempts": 1,
        "timings": {"total_ms": 0},
        **fields,
    }


DONE = job(
    "a1",
    "succeeded",
    usage={"prompt_tokens": 12, "completion_tokens": 34},
    timings={"total_ms": 1234.5, "stages_ms": {"queue_wait": 1.5}},
    result={"text": "[bold]Hi\x1b[31m"},
)


def jobs(api: FakeApi, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["jobs", "--url", api.url, *arguments])


def test_a_job_that_waits_for_its_model_says_so(api: FakeApi) -> None:
    waiting_for = {"model": "old", "reason": "no worker runs this model"}
    aside = job("b2", "queued", waiting_for=waiting_for)
    api.answers["/v1/jobs"] = (200, {"data": [aside]})
    api.answers["/v1/jobs/b2"] = (200, aside)

    assert jobs(api).stdout.splitlines()[1].split()[:3] == ["b2", "set", "aside"]
    shown = jobs(api, "b2").stdout
    assert "waiting_for.model" in shown
    assert "no worker runs this model" in shown


def test_jobs_are_rows_of_a_table(api: FakeApi) -> None:
    api.answers["/v1/jobs"] = (200, {"data": [job("b2", "queued"), DONE]})
    header, queued, done = jobs(api).stdout.splitlines()
    assert header.split()[:3] == ["id", "status", "created"]
    assert queued.split()[:2] == ["b2", "queued"]
    assert done.split()[:2] == ["a1", "succeeded"]
    assert done.split()[-4:] == ["12", "34", "1", "1.23"]


def test_state_and_limit_are_passed_on(api: FakeApi) -> None:
    api.answers["/v1/jobs"] = (200, {"data": []})
    assert jobs(api, "--state", "running", "--limit", "5").stdout == "no jobs\n"
    assert api.asked == ["/v1/jobs?state=running&limit=5"]


def test_an_unknown_state_is_a_usage_error(api: FakeApi) -> None:
    assert jobs(api, "--state", "lost").exit_code == 2


def test_json_is_the_answer_as_it_came(api: FakeApi) -> None:
    api.answers["/v1/jobs"] = (200, {"data": [DONE]})
    assert json.loads(jobs(api, "--json").stdout) == {"data": [DONE]}


def test_one_job_is_shown_with_all_that_is_known_of_it(api: FakeApi) -> None:
    api.answers["/v1/jobs/a1"] = (200, DONE)
    shown = dict(line.split(None, 1) for line in jobs(api, "a1").stdout.splitlines())
    assert shown["usage.completion_tokens"].strip() == "34"
    assert shown["timings.stages_ms.queue_wait"].strip() == "1.5"
    assert shown["created_at"].startswith("2023-11-1")


def test_what_a_model_wrote_does_not_steer_the_terminal(api: FakeApi) -> None:
    api.answers["/v1/jobs/a1"] = (200, DONE)
    assert "[bold]Hi[31m" in jobs(api, "a1").stdout


def test_one_job_as_json(api: FakeApi) -> None:
    api.answers["/v1/jobs/a1"] = (200, DONE)
    assert json.loads(jobs(api, "a1", "--json").stdout) == DONE


@pytest.mark.parametrize(("job_id", "path"), [("nope", "nope"), ("../x?y", "..%2Fx%3Fy")])
def test_a_job_that_is_not_there_is_said(api: FakeApi, job_id: str, path: str) -> None:
    api.answers[f"/v1/jobs/{path}"] = (404, {"error": {"message": f"no job {job_id}"}})
    failure = jobs(api, job_id).exception
    assert isinstance(failure, JobNotFound)
    assert str(failure) == f"no job {job_id}"


# -- one job, while it runs and afterwards ---------------------------------------------------------


def stream(*tokens: str, **end: Any) -> str:
    blocks = [
        f"id: {place}-0\nevent: token\ndata: {json.dumps({'text': text})}\n\n"
        for place, text in enumerate(tokens, start=1)
    ]
    usage = {"usage": {"completion_tokens": len(tokens)}}
    ending = f"id: 9-2\nevent: end\ndata: {json.dumps(usage | end)}\n\n" if end else ""
    return "retry: 1000\n\n: waiting\n\n" + "".join(blocks) + ending


def test_the_text_of_a_job_is_shown_as_it_is_written(api: FakeApi) -> None:
    api.answers["/v1/jobs/a1/stream"] = (
        200,
        stream("Hel", "lo", status="succeeded", finish_reason="stop"),
    )
    shown = jobs(api, "a1", "--watch")
    assert shown.stdout == "Hello\n"
    assert shown.stderr == "2 output tokens · stop\n"


def test_a_watched_job_that_does_not_succeed_is_an_error(api: FakeApi) -> None:
    api.answers["/v1/jobs/a1/stream"] = (200, stream("Hel", status="cancelled", reason="cancelled"))
    shown = jobs(api, "a1", "--watch")
    assert shown.stdout == "Hel\n"
    assert isinstance(shown.exception, JobFailed)
    assert str(shown.exception) == "job a1 cancelled: cancelled"


def test_a_watch_goes_on_where_the_connection_broke(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "RETRY_S", 0.0)
    asked: list[str | None] = []

    def events(_client: ApiClient, _path: str, after: str | None) -> Iterator[Event]:
        asked.append(after)
        if after is None:
            yield Event("token", {"text": "Hel"}, "1-0")
            raise Unavailable("broken")
        if len(asked) == 2:
            raise Unavailable("still away")
        yield Event("token", {"text": "lo"}, "2-0")
        if len(asked) == 4:
            yield Event("end", {"status": "succeeded"}, "2-2")

    monkeypatch.setattr(ApiClient, "events", events)
    told = [event.data.get("text") for event in job_watch.job_events(ApiClient(api.url), "a1")]

    assert told == ["Hel", "lo", "lo", None]
    assert asked == [None, "1-0", "1-0", "2-0"]


def test_a_watch_gives_up_on_an_api_that_stays_away(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "PATIENCE_S", -1.0)
    api.answers["/v1/jobs/a1/stream"] = (503, {"error": {"message": "away"}})
    assert isinstance(jobs(api, "a1", "--watch").exception, Unavailable)


TIMELINE = {
    "data": [
        {"event": "accepted", "at": 1_700_000_000.0, "after_ms": 0.0},
        {
            "event": "retried",
            "at": 1_700_000_002.0,
            "after_ms": 2000.0,
            "worker": "worker-1",
            "batch_size": 2.5,
            "reason": "engine_error",
        },
    ]
}


def test_the_timeline_of_a_job_is_a_table(api: FakeApi) -> None:
    api.answers["/v1/jobs/a1/timeline"] = (200, TIMELINE)
    _header, first, second = jobs(api, "a1", "--timeline").stdout.splitlines()
    assert first.split()[2:] == ["0.000", "accepted"]
    assert second.split()[2:] == ["2.000", "retried", "worker-1", "2.5", "reason=engine_error"]
    assert json.loads(jobs(api, "a1", "--timeline", "--json").stdout) == TIMELINE


@pytest.mark.parametrize(
    "arguments",
    [["--watch"], ["--timeline"], ["a1", "--watch", "--timeline"], ["a1", "--watch", "--json"]],
)
def test_options_that_do_not_fit_are_a_usage_error(api: FakeApi, arguments: list[str]) -> None:
    assert jobs(api, *arguments).exit_code == 2
    assert api.asked == []


def test_short_pages_are_put_together(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = iter(
        [
            {"data": [job("a1", "failed")], "has_more": True, "next_cursor": "c1"},
            {"data": [], "has_more": True, "next_cursor": "c2"},
            {"data": [job("b2", "failed")], "has_more": False, "next_cursor": None},
        ]
    )
    asked: list[dict[str, Any]] = []

    def get(_client: ApiClient, _path: str, **query: Any) -> dict[str, Any]:
        asked.append(query)
        return next(pages)

    monkeypatch.setattr(ApiClient, "get", get)
    listed = json.loads(jobs(api, "--limit", "3", "--json").stdout)

    assert [each["id"] for each in listed["data"]] == ["a1", "b2"]
    assert [(query["limit"], query.get("after")) for query in asked] == [
        (3, None),
        (2, "c1"),
        (2, "c2"),
    ]

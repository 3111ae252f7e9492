from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.cli.main import cli
from headrace.core.errors import JobNotFound
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

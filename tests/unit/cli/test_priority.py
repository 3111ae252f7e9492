from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from headrace.cli.main import cli
from headrace.core.errors import HeadraceError
from tests.unit.cli.fake_api import FakeApi


def priority(api: FakeApi, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["priority", "--url", api.url, *arguments])


@pytest.mark.parametrize(
    ("position", "place"), [(0, "next"), (3, "3 in front of it"), (None, "runs already")]
)
def test_a_changed_priority_is_told_with_the_jobs_new_place(
    api: FakeApi, position: int | None, place: str
) -> None:
    api.answers["/v1/jobs/a1"] = (200, {"priority": "batch", "position": position})

    assert priority(api, "a1", "batch").stdout == f"a1 batch, {place}\n"
    assert (api.methods, api.bodies) == (["PATCH"], [{"priority": "batch"}])


def test_json_is_the_answer_as_it_came(api: FakeApi) -> None:
    job = {"priority": "batch", "position": 0}
    api.answers["/v1/jobs/a1"] = (200, job)
    assert json.loads(priority(api, "a1", "batch", "--json").stdout) == job


def test_a_job_that_no_longer_waits_is_an_error_in_the_words_of_the_api(api: FakeApi) -> None:
    api.answers["/v1/jobs/a1"] = (409, {"error": {"message": "job a1 no longer waits"}})
    failure = priority(api, "a1", "interactive").exception
    assert isinstance(failure, HeadraceError)
    assert str(failure) == "job a1 no longer waits"


def test_an_unknown_priority_is_a_usage_error(api: FakeApi) -> None:
    assert priority(api, "a1", "urgent").exit_code == 2
    assert api.asked == []

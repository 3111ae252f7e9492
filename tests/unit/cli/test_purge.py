from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from headrace.cli import confirmation
from headrace.cli.main import cli
from headrace.core.errors import JobNotFound
from tests.unit.cli.fake_api import FakeApi


def purge(api: FakeApi, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["purge", "--url", api.url, *arguments], input=stdin)


def test_jobs_are_purged_one_by_one(api: FakeApi) -> None:
    api.answers |= {"/v1/jobs/a1": (204, ""), "/v1/jobs/a2": (204, "")}

    assert purge(api, "--yes", "a1", "a2").stdout == "a1 purged\na2 purged\n"
    assert api.methods == ["DELETE", "DELETE"]
    assert api.asked == ["/v1/jobs/a1?purge=true", "/v1/jobs/a2?purge=true"]


def test_a_job_that_is_not_there_ends_the_command(api: FakeApi) -> None:
    api.answers |= {"/v1/jobs/a1": (204, ""), "/v1/jobs/a2": (404, {"error": {"message": "none"}})}

    result = purge(api, "-y", "a1", "a2", "a3")

    assert (result.stdout, result.stderr) == ("a1 purged\n", "not done: a2 a3\n")
    assert isinstance(result.exception, JobNotFound)


@pytest.mark.parametrize(("answer", "methods"), [("n\n", []), ("y\n", ["DELETE"])])
def test_a_terminal_is_asked_before_anything_goes(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, answer: str, methods: list[str]
) -> None:
    monkeypatch.setattr(confirmation, "is_terminal", lambda: True)
    api.answers["/v1/jobs/a1"] = (204, "")

    assert "Purge job a1 for good?" in purge(api, "a1", stdin=answer).stderr
    assert api.methods == methods


def test_without_a_terminal_nothing_goes_unless_yes_was_said(api: FakeApi) -> None:
    result = purge(api, "a1")

    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert api.methods == []


def test_an_id_is_needed(api: FakeApi) -> None:
    assert purge(api).exit_code == 2

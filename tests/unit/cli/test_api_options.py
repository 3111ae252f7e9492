"""`--api-key`, on every command that asks a Headrace API."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from headrace.cli.main import cli
from headrace.core.errors import Forbidden, InvalidRequest, Unauthorised
from tests.unit.cli.fake_api import FakeApi

JOBS = {"data": []}


def test_the_key_is_sent_as_a_bearer(api: FakeApi) -> None:
    api.answers["/v1/jobs"] = (200, JOBS)
    CliRunner().invoke(cli, ["jobs", "--url", api.url, "--api-key", "hr_1"])
    CliRunner().invoke(cli, ["jobs", "--url", api.url], env={"HEADRACE_API_KEY": "hr_2\n"})
    CliRunner().invoke(cli, ["jobs", "--url", api.url])
    assert api.keys == ["Bearer hr_1", "Bearer hr_2", None]


@pytest.mark.parametrize(("status", "error"), [(401, Unauthorised), (403, Forbidden)])
def test_a_key_that_opens_nothing_is_said(
    api: FakeApi, status: int, error: type[Exception]
) -> None:
    api.answers["/v1/jobs"] = (status, {"error": {"message": "no such API key"}})
    failure = CliRunner().invoke(cli, ["jobs", "--url", api.url, "--api-key", "hr_1"]).exception
    assert isinstance(failure, error)
    assert str(failure) == "no such API key"


@pytest.mark.parametrize("key", ["hr_\x00swordfish", "hr_ä-swordfish", "hr_\nswordfish"])
def test_what_cannot_be_sent_is_not_quoted(api: FakeApi, key: str) -> None:
    failure = CliRunner().invoke(cli, ["jobs", "--url", api.url, "--api-key", key]).exception
    assert isinstance(failure, InvalidRequest)
    assert "swordfish" not in str(failure)


def leaves(group: click.Group) -> list[click.Command]:
    commands = group.commands.values()
    below = [leaves(each) if isinstance(each, click.Group) else [each] for each in commands]
    return [command for branch in below for command in branch]


def test_every_command_with_a_url_takes_a_key() -> None:
    options = [{option.name for option in command.params} for command in leaves(cli)]
    assert sum("url" in names for names in options) > 5
    assert all("api_key" in names for names in options if "url" in names)

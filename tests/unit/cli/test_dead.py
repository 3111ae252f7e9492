from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from headrace.cli import confirmation
from headrace.cli.dead_view import letters_table
from headrace.cli.main import cli
from headrace.core.errors import HeadraceError, JobNotFound
from tests.unit.cli.fake_api import FakeApi

LETTER: dict[str, Any] = {
    "id": "0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40",
    "reason": "dead",
    "error": "too many workers \x1b[31mdied\nand more of it",
    "attempts": 2,
    "deaths": 2,
    "died": [{"worker": "worker-1", "died_at": 1_700_000_000.0, "batch_size": 16}],
    "batch_size": 16.5,
    "ended_at": 1_700_000_000.0,
    "model": None,
    "replayed_as": "b2",
}


def dead(api: FakeApi, *arguments: str, stdin: str | None = None) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(cli, ["dead", command, "--url", api.url, *rest], input=stdin)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmation, "is_terminal", lambda: True)


# -- list and show ---------------------------------------------------------------------------------


def test_dead_letters_are_rows_of_a_table(api: FakeApi) -> None:
    api.answers["/v1/dead"] = (200, {"data": [LETTER]})

    header, row = dead(api, "list", "--limit", "5").stdout.splitlines()

    assert " ".join(header.split()) == "id reason ended tries deaths batch replayed error"
    assert row.split()[:2] == [LETTER["id"], "dead"]
    assert " ".join(row.split()[4:]) == "2 2 16.5 yes too many workers [31mdied"
    assert api.asked == ["/v1/dead?limit=5"]


def test_no_dead_letters_are_said(api: FakeApi) -> None:
    api.answers["/v1/dead"] = (200, {"data": []})
    assert dead(api, "list").stdout == "no dead letters\n"


def test_what_must_be_read_fits_a_narrow_terminal() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(letters_table([LETTER | {"reason": "engine_error"}], 80))
    text = capture.get()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert all(part in text for part in (LETTER["id"], "engine_error", "deaths"))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_id_is_never_cut_and_a_letter_is_one_line(width: int) -> None:
    console = Console(width=width)
    letter = LETTER | {"reason": "engine_error", "error": "a long story " * 20}
    with console.capture() as capture:
        console.print(letters_table([letter], width))

    header, row = capture.get().splitlines()
    assert max(len(header), len(row)) <= width
    assert row.startswith(f"{LETTER['id']} ")


def test_one_letter_is_shown_with_all_that_is_known_of_it(api: FakeApi) -> None:
    api.answers["/v1/dead/a1"] = (200, LETTER)

    lines = dead(api, "show", "a1").stdout.splitlines()

    shown = {name: value for name, _space, value in (line.partition(" ") for line in lines)}
    assert shown["died.1.worker"].strip() == "worker-1"
    assert shown["died.1.died_at"].strip().startswith("2023-11-1")
    assert shown["error"].strip() == "too many workers [31mdied"
    assert "model" not in shown


@pytest.mark.parametrize(("arguments", "path"), [(["list"], ""), (["show", "a1"], "/a1")])
def test_json_is_the_answer_as_it_came(api: FakeApi, arguments: list[str], path: str) -> None:
    api.answers[f"/v1/dead{path}"] = (200, {"data": [LETTER]})
    assert json.loads(dead(api, *arguments, "--json").stdout) == {"data": [LETTER]}


def test_a_letter_that_is_not_there_is_said(api: FakeApi) -> None:
    api.answers["/v1/dead/..%2Fjobs"] = (404, {"error": {"message": "no dead letter"}})
    failure = dead(api, "show", "../jobs").exception
    assert isinstance(failure, JobNotFound)
    assert str(failure) == "no dead letter"


# -- replay ----------------------------------------------------------------------------------------


def test_each_replay_is_told_with_the_job_that_it_became(api: FakeApi) -> None:
    for old, new in (("a1", "b1"), ("a2", "b2")):
        api.answers[f"/v1/dead/{old}/replay"] = (202, {"id": new, "status": "queued"})

    assert dead(api, "replay", "a1", "a2").stdout == "a1 -> b1 queued\na2 -> b2 queued\n"
    assert api.bodies == [{"force": False}] * 2


def test_a_replay_can_be_forced_and_shown_whole(api: FakeApi) -> None:
    api.answers["/v1/dead/a1/replay"] = (202, {"id": "b1", "status": "queued"})

    result = dead(api, "replay", "a1", "--force", "--json")

    assert json.loads(result.stdout) == {"id": "b1", "status": "queued"}
    assert api.bodies == [{"force": True}]


def test_a_replay_that_is_refused_is_an_error_in_the_words_of_the_api(api: FakeApi) -> None:
    api.answers["/v1/dead/a1/replay"] = (409, {"error": {"message": "a1: cannot be read"}})
    failure = dead(api, "replay", "a1").exception
    assert isinstance(failure, HeadraceError)
    assert str(failure) == "a1: cannot be read"


def test_the_first_refusal_ends_the_replays_and_says_which_are_left(api: FakeApi) -> None:
    api.answers["/v1/dead/a1/replay"] = (202, {"id": "b1", "status": "queued"})
    api.answers["/v1/dead/a2/replay"] = (404, {"error": {"message": "no dead letter"}})

    result = dead(api, "replay", "a1", "a2", "a3")

    assert (result.stdout, result.stderr) == ("a1 -> b1 queued\n", "not done: a2 a3\n")
    assert isinstance(result.exception, JobNotFound)


# -- purge -----------------------------------------------------------------------------------------


def test_letters_are_purged_one_by_one(api: FakeApi) -> None:
    api.answers |= {"/v1/dead/a1": (204, ""), "/v1/dead/a2": (204, "")}

    assert dead(api, "purge", "--yes", "a1", "a2").stdout == "a1 purged\na2 purged\n"
    assert api.methods == ["DELETE", "DELETE"]
    assert json.loads(dead(api, "purge", "-y", "a1", "--json").stdout) == {"purged": 1}


def test_the_first_refusal_ends_the_purge_and_says_which_are_left(api: FakeApi) -> None:
    api.answers["/v1/dead/a1"] = (204, "")
    api.answers["/v1/dead/a2"] = (404, {"error": {"message": "no dead letter"}})

    result = dead(api, "purge", "--yes", "a1", "a2", "a3")

    assert (result.stdout, result.stderr) == ("a1 purged\n", "not done: a2 a3\n")
    assert isinstance(result.exception, JobNotFound)


@pytest.mark.parametrize(
    ("option", "age"), [(["--all"], "0.0"), (["--older-than", "1h"], "3600.0")]
)
def test_many_letters_are_purged_at_once(api: FakeApi, option: list[str], age: str) -> None:
    api.answers["/v1/dead"] = (200, {"purged": 7})

    assert dead(api, "purge", "--yes", *option).stdout == "7 purged\n"
    assert (api.methods, api.asked) == (["DELETE"], [f"/v1/dead?older_than_s={age}"])
    assert json.loads(dead(api, "purge", "--yes", *option, "--json").stdout) == {"purged": 7}


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["a1"], "Purge dead letter a1 for good?"),
        (["a1", "a2"], "Purge 2 dead letters for good?"),
        (["--all"], "Purge all dead letters for good?"),
        (["--older-than", "1h"], "Purge all dead letters of this age for good?"),
    ],
)
def test_a_terminal_is_asked_before_anything_goes(
    api: FakeApi, arguments: list[str], question: str
) -> None:
    result = dead(api, "purge", *arguments, stdin="n\n")

    assert question in result.stderr
    assert result.exit_code == 1
    assert api.asked == []


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("arguments", "stdin"), [(["a1"], "y\n"), (["a1", "--yes"], None)])
def test_a_yes_beforehand_or_when_asked_purges(
    api: FakeApi, arguments: list[str], stdin: str | None
) -> None:
    api.answers["/v1/dead/a1"] = (204, "")
    assert dead(api, "purge", *arguments, stdin=stdin).exit_code == 0
    assert api.methods == ["DELETE"]


@pytest.mark.parametrize("arguments", [["a1"], ["--all"], ["--older-than", "1h"]])
def test_without_a_terminal_nothing_goes_unless_yes_was_said(
    api: FakeApi, arguments: list[str]
) -> None:
    result = dead(api, "purge", *arguments)

    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert api.asked == []


@pytest.mark.parametrize(
    "arguments", [[], ["a1", "--all"], ["--all", "--older-than", "1h"], ["--older-than", "soon"]]
)
def test_what_to_purge_must_be_said_once(api: FakeApi, arguments: list[str]) -> None:
    result = dead(api, "purge", "--yes", *arguments)

    assert result.exit_code == 2
    assert api.asked == []

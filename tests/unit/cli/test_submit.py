from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.cli.main import cli
from headrace.core.errors import HeadraceError, InvalidRequest, QueueFull, Unavailable
from tests.unit.cli.fake_api import FakeApi

CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "Hi there"}}], "usage": USAGE}


def stream_of(*texts: str, ending: str = "data: [DONE]\n\n") -> str:
    pieces: list[dict[str, Any]] = [{"choices": [{"delta": {"role": "assistant"}}]}]
    pieces += [{"choices": [{"delta": {"content": text}}]} for text in texts]
    pieces.append({"choices": [], "usage": USAGE})
    return ": waiting\n\n" + "".join(f"data: {json.dumps(p)}\n\n" for p in pieces) + ending


def submit(api: FakeApi, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["submit", "--url", api.url, *arguments], input=stdin)


@pytest.fixture
def streaming(api: FakeApi) -> FakeApi:
    api.answers[CHAT] = (200, stream_of("Hi ", "there"))
    return api


def test_the_answer_is_shown_and_its_cost_apart_from_it(streaming: FakeApi) -> None:
    result = submit(streaming, "Hello")
    assert result.exit_code == 0
    assert result.stdout == "Hi there\n"
    assert "7 prompt tokens · 2 output tokens" in result.stderr
    assert "first text after" in result.stderr


def test_a_bare_prompt_asks_for_nothing_but_a_stream(streaming: FakeApi) -> None:
    submit(streaming, "Hello")
    assert streaming.bodies == [
        {
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


def test_options_become_fields_of_the_body(streaming: FakeApi) -> None:
    submit(
        streaming,
        *("--system", "Be brief", "--max-tokens", "9", "--temperature", "0", "--top-p", "0.5"),
        *("--top-k", "3", "--seed", "7", "--stop", "A", "--stop", "B", "--priority", "batch"),
        "Hello",
    )
    [body] = streaming.bodies
    assert body["messages"][0] == {"role": "system", "content": "Be brief"}
    assert {key: body[key] for key in body.keys() - {"messages", "stream", "stream_options"}} == {
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
        "seed": 7,
        "stop": ["A", "B"],
        "priority": "batch",
    }


def test_a_dash_reads_the_prompt_from_standard_input(streaming: FakeApi) -> None:
    submit(streaming, "-", stdin="Hello\nthere\n")
    assert streaming.bodies[0]["messages"][0]["content"] == "Hello\nthere\n"


def test_without_a_stream_the_whole_answer_is_shown(api: FakeApi) -> None:
    api.answers[CHAT] = (200, ANSWER)
    result = submit(api, "--no-stream", "Hello")
    assert result.stdout == "Hi there\n"
    assert "2 output tokens" in result.stderr
    assert "stream" not in api.bodies[0]


def test_json_is_the_answer_as_it_came(api: FakeApi) -> None:
    api.answers[CHAT] = (200, ANSWER)
    assert json.loads(submit(api, "--json", "Hello").stdout) == ANSWER


def test_a_path_in_front_of_the_api_is_kept(api: FakeApi) -> None:
    api.answers["/queue" + CHAT] = (200, ANSWER)
    result = CliRunner().invoke(cli, ["submit", "--url", api.url + "/queue/", "--json", "Hello"])
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, InvalidRequest), (429, QueueFull), (503, Unavailable), (500, HeadraceError)],
)
def test_a_refusal_is_told_in_the_words_of_the_api(
    api: FakeApi, status: int, error: type[HeadraceError]
) -> None:
    api.answers[CHAT] = (status, {"error": {"message": "not like this", "param": "top_k"}})
    failure = submit(api, "Hello").exception
    assert type(failure) is error
    assert str(failure) == "top_k: not like this"


def test_a_field_that_the_message_names_is_not_named_twice(api: FakeApi) -> None:
    api.answers[CHAT] = (400, {"error": {"message": "top_p: too large", "param": "top_p"}})
    assert str(submit(api, "Hello").exception) == "top_p: too large"


def test_a_refusal_in_another_language_shows_its_status(api: FakeApi) -> None:
    api.answers[CHAT] = (502, "<html>Bad Gateway</html>")
    assert "answered 502 Bad Gateway" in str(submit(api, "Hello").exception)


def test_an_answer_in_another_language_is_no_headrace(api: FakeApi) -> None:
    api.answers[CHAT] = (200, "<html>Welcome</html>")
    assert "does not speak the Headrace API" in str(submit(api, "--json", "Hello").exception)


def test_a_job_that_fails_midway_is_an_error(api: FakeApi) -> None:
    failed = 'data: {"error": {"message": "job 1 failed: too many deaths", "param": null}}\n\n'
    api.answers[CHAT] = (200, stream_of("Hi ", ending=failed))
    result = submit(api, "Hello")
    assert result.stdout == "Hi "
    assert str(result.exception) == "job 1 failed: too many deaths"


def test_a_stream_that_breaks_off_is_an_error(api: FakeApi) -> None:
    api.answers[CHAT] = (200, stream_of("Hi ", ending=""))
    assert isinstance(submit(api, "Hello").exception, Unavailable)


def test_an_api_that_is_away_is_named_with_the_way_out() -> None:
    result = CliRunner().invoke(cli, ["submit", "--url", "http://127.0.0.1:1", "Hello"])
    assert isinstance(result.exception, Unavailable)
    assert "no API answers at http://127.0.0.1:1" in str(result.exception)
    assert "headrace up" in str(result.exception)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://queue", "http://[::1"])
def test_what_is_no_url_is_an_error_not_a_crash(url: str) -> None:
    result = CliRunner().invoke(cli, ["submit", "--url", url, "Hello"])
    assert isinstance(result.exception, HeadraceError)


def test_a_proxy_is_not_asked_for_this_machine(
    streaming: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert submit(streaming, "Hello").stdout == "Hi there\n"

"""The last callers that there are descriptors for."""

from __future__ import annotations

import errno

import pytest
from flask.testing import FlaskClient

from api import connection_limit, jobs
from headrace.core.open_files import OWN_FILES

LIMIT = 256
LAST = LIMIT - OWN_FILES - connection_limit.SPARE


class Connection:
    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number


@pytest.fixture(autouse=True)
def _few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limit, "allow_files", lambda: LIMIT)
    connection_limit._last.cache_clear()


def status(client: FlaskClient, descriptor: int, path: str = "/v1/jobs") -> int:
    environment = {"gunicorn.socket": Connection(descriptor)}
    return client.get(path, environ_overrides=environment).status_code


def test_one_of_the_last_connections_is_refused(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limit, "_open_files", lambda: LAST)
    answer = client.get("/v1/jobs", environ_overrides={"gunicorn.socket": Connection(LAST)})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    error = answer.get_json()["error"]
    assert error["code"] == "out_of_descriptors"
    assert "256 files" in error["message"]
    assert "ulimit -n" in error["message"]


def test_others_are_served(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limit, "_open_files", lambda: LAST)
    assert status(client, LAST - 1) == 200
    assert status(client, LAST, "/healthz") == 200
    monkeypatch.setattr(connection_limit, "_open_files", lambda: LAST - 1)
    assert status(client, LAST) == 200  # it is an old connection, and many have ended since


def test_what_cannot_be_opened_is_503(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(jobs, "services", full)
    answer = client.get("/v1/jobs")
    assert answer.status_code == 503
    assert answer.get_json()["error"]["code"] == "out_of_descriptors"


def test_a_process_accepts_as_many_as_it_can_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection_limit.most_connections() == LIMIT - OWN_FILES
    monkeypatch.setattr(connection_limit, "allow_files", lambda: 100_000)
    assert connection_limit.most_connections() == connection_limit.MOST_CONNECTIONS

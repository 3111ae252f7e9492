"""Commands as the scaler runs them; those of Docker are stood in for."""

from __future__ import annotations

import sys

import pytest

from headrace.core.errors import Unavailable
from scaler import docker
from scaler.docker import DockerCommands


def python(code: str) -> str:
    return DockerCommands().run(sys.executable, "-c", code)


def test_a_command_answers_with_what_it_printed() -> None:
    assert python("print('one'); print('two')") == "one\ntwo\n"


def test_one_that_fails_says_why() -> None:
    with pytest.raises(Unavailable, match="failed: no such container"):
        python("import sys; print('Error:', file=sys.stderr); sys.exit('no such container')")


def test_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "TIMEOUT_S", 0.1)
    with pytest.raises(Unavailable, match="took longer"):
        python("import signal; signal.pause()")


def test_one_that_is_not_there_is_said() -> None:
    with pytest.raises(Unavailable, match="cannot be run"):
        DockerCommands().run("no-such-command")

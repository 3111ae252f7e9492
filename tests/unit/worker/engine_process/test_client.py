"""EngineProcess: an engine behind the border of a process, and the ends that it can come to."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import EngineDied, EngineError, ModelError
from headrace.core.settings import Settings
from headrace.core.types import Delta, FinishReason, Request
from tests.chaos.markers import Mark, Misdeed
from tests.fakes import CARD, make_request
from tests.processes import is_alive
from tests.waiting import eventually, steady
from worker.engine_process import channel, client
from worker.engine_process.child import launcher
from worker.engine_process.client import EngineProcess

CHILD = (sys.executable, "-m", "tests.chaos.engine_child")
MANY_BYTES = 4096
"""More than one step of an engine says."""

STILL_S = 30.0
"""A step of an engine that stands still."""

MakeProcess = Callable[..., EngineProcess]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeProcess]:
    """Starts an engine process with settings of a test."""
    monkeypatch.setenv("HEADRACE_ENGINE", "simulated")
    monkeypatch.setenv("HEADRACE_STATE_DIR", str(tmp_path))
    begun: list[EngineProcess] = []

    def make(**changes: Any) -> EngineProcess:
        law = {"simulated_alpha_s": 0.005, "simulated_beta_s": 0, "simulated_gamma_s": 0}
        for name, value in (law | changes).items():
            monkeypatch.setenv(f"HEADRACE_{name.upper()}", str(value))
        settings = Settings(state_dir=tmp_path, engine="simulated", **changes)
        begun.append(EngineProcess(settings, launcher("worker-1", CHILD)))
        return begun[-1]

    yield make
    for engine in begun:
        engine.close()


def run(engine: EngineProcess, *requests: Request) -> dict[str, Delta]:
    """All that the engine says of each request, as one delta."""
    for request in requests:
        engine.add(request)
    said: dict[str, Delta] = {}
    while not engine.is_idle:
        for delta in engine.step():
            earlier = said.get(delta.request_id)
            said[delta.request_id] = earlier.then(delta) if earlier else delta
    return said


def death_of(engine: EngineProcess) -> EngineDied:
    with pytest.raises(EngineDied) as died:
        while True:
            engine.step()
    return died.value


def begin(engine: EngineProcess, *requests: Request) -> None:
    """Has the requests run, each with its first token."""
    waiting = {request.id for request in requests}
    for request in requests:
        engine.add(request)
    while waiting:
        waiting -= {delta.request_id for delta in engine.step() if delta.token_ids}


def test_requests_run_together_in_a_process_of_their_own(start: MakeProcess) -> None:
    engine = start()
    said = run(engine, make_request("a", max_tokens=7), make_request("b", max_tokens=3))

    assert engine.pid != os.getpid()
    assert [len(said[name].token_ids) for name in "ab"] == [7, 3]
    assert {delta.finish_reason for delta in said.values()} == {FinishReason.LENGTH}
    assert (engine.card.hash, engine.name) == (CARD.hash, "FaultyEngine")


def test_it_knows_its_room_without_asking(start: MakeProcess) -> None:
    engine = start(max_slots=4)
    whole = engine.room()
    request = make_request("a", max_tokens=200)
    begin(engine, request)

    assert engine.room().slots == whole.slots - 1
    assert engine.room().tokens == whole.tokens - request.cost_tokens
    engine.abort("a")
    assert engine.room() == whole


def test_what_an_earlier_request_of_the_same_name_brought_is_not_the_later_ones(
    start: MakeProcess,
) -> None:
    engine = start()
    begin(engine, make_request("a", max_tokens=200))
    eventually(engine._channel.has_news)  # steps of the first are on their way
    engine.abort("a")

    assert len(run(engine, make_request("a", max_tokens=5))["a"].token_ids) == 5


def test_steps_that_nobody_waited_for_come_together(start: MakeProcess) -> None:
    engine = start(simulated_alpha_s=0)
    begin(engine, make_request("a", max_tokens=200))
    before = engine.stats().steps
    eventually(lambda: unread_bytes(engine) > MANY_BYTES)
    (delta,) = engine.step()

    assert len(delta.token_ids) > 1
    assert engine.stats().steps == before + len(delta.token_ids)


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV")]
)
def test_a_process_that_is_killed_says_which_requests_ran_in_it(
    start: MakeProcess, number: signal.Signals, words: str
) -> None:
    engine = start()
    begin(engine, make_request("a", max_tokens=200), make_request("b", max_tokens=200))
    os.kill(engine.pid, number)
    engine.add(make_request("late"))
    death = death_of(engine)

    assert death.request_ids == {"a", "b"}
    assert words in str(death)


def test_a_native_exit_is_a_death_of_those_that_ran(start: MakeProcess) -> None:
    engine = start()
    engine.add(make_request("a", prompt=f"drink me {Mark(Misdeed.EXIT, 3)}", max_tokens=50))

    assert "code 1" in str(death := death_of(engine))
    assert death.request_ids == {"a"}


def test_one_that_says_nothing_is_killed(start: MakeProcess) -> None:
    engine = start(simulated_alpha_s=STILL_S, engine_stall_s=0.5)
    engine.add(make_request("a"))
    pid, began = engine.pid, time.monotonic()
    death = death_of(engine)

    assert "said nothing for 0.5 s" in str(death)
    assert death.request_ids == {"a"}
    assert time.monotonic() - began < STILL_S / 2
    assert not is_alive(pid)


def test_one_that_is_stopped_is_killed(start: MakeProcess) -> None:
    engine = start(engine_stall_s=0.5)
    begin(engine, make_request("a", max_tokens=200))
    os.kill(engine.pid, signal.SIGSTOP)

    assert "said nothing" in str(death_of(engine))


def test_what_it_said_before_its_death_is_told_first(start: MakeProcess) -> None:
    engine = start()
    begin(engine, make_request("a", max_tokens=200))
    eventually(engine._channel.has_news)
    os.kill(engine.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(engine.pid))

    (delta,) = engine.step()
    assert delta.token_ids
    assert death_of(engine).request_ids == {"a"}


def test_a_long_prompt_reaches_an_engine_that_nobody_has_listened_to(
    start: MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both pipes are full: the engine waits to be heard, and the worker has much to say."""
    monkeypatch.setattr(channel, "BUFFER_BYTES", 16_384)
    engine = start(simulated_alpha_s=0, max_slots=64, engine_stall_s=5.0)
    begin(engine, *(make_request(f"row-{number}", max_tokens=240) for number in range(60)))
    eventually(steady(lambda: unread_bytes(engine)))
    engine.add(make_request("long", prompt_ids=tuple(range(40, 240)) * 3000))

    assert "exceed the context" in str(run(engine)["long"].error)


def unread_bytes(engine: EngineProcess) -> int:
    """Bytes that the engine has said and that nobody has read."""
    answer = fcntl.ioctl(engine._channel._connection.fileno(), termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


def test_one_that_does_not_read_is_killed(start: MakeProcess) -> None:
    engine = start(engine_stall_s=0.5)
    begin(engine, make_request("a", max_tokens=200))
    os.kill(engine.pid, signal.SIGSTOP)
    engine.add(make_request("long", prompt_ids=tuple(range(40, 240)) * 10_000))

    assert "a" in death_of(engine).request_ids


def test_an_idle_engine_that_died_is_missed_without_a_request(start: MakeProcess) -> None:
    engine = start()
    engine.check()
    os.kill(engine.pid, signal.SIGKILL)

    with pytest.raises(EngineDied) as died:
        eventually(engine.check)
    assert died.value.request_ids == frozenset()


def test_after_a_restart_it_serves_and_counts_on(start: MakeProcess) -> None:
    engine = start()
    run(engine, make_request("a", max_tokens=4))
    os.kill(engine.pid, signal.SIGKILL)
    engine.add(make_request("b", max_tokens=4))
    death_of(engine)

    assert engine.restart(lambda: False)
    assert engine.is_idle
    assert len(run(engine, make_request("b", max_tokens=4))["b"].token_ids) == 4
    assert engine.stats().output_tokens == 8


def test_a_restart_ends_where_the_worker_is_to_end(start: MakeProcess) -> None:
    engine = start()
    os.kill(engine.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(engine.pid))

    assert not engine.restart(lambda: True)
    assert not is_alive(engine.pid)


def test_its_failpoints_have_their_effect_once(start: MakeProcess) -> None:
    engine = start(failpoints="after-engine-step=crash@3")
    engine.add(make_request("a", max_tokens=50))
    assert "SIGSEGV" in str(death_of(engine))

    assert engine.restart(lambda: False)
    assert len(run(engine, make_request("a", max_tokens=50))["a"].token_ids) == 50


def test_a_model_that_cannot_be_loaded_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADRACE_MODEL", str(tmp_path / "missing.gguf"))
    monkeypatch.setenv("HEADRACE_STATE_DIR", str(tmp_path))

    with pytest.raises(ModelError, match=r"missing\.gguf"):
        EngineProcess(Settings(), launcher("worker-1"))


def test_one_that_ends_before_it_has_loaded_is_an_error() -> None:
    broken = (sys.executable, "-c", "raise SystemExit(3)")

    with pytest.raises(EngineError, match="ended with code 3 while it loaded"):
        EngineProcess(Settings(), launcher("worker-1", broken))


def test_a_claim_waits_until_shortly_before_the_step_ends(
    start: MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "APPROACH_S", 0.3)  # as much as a busy machine may be late
    engine = start(simulated_alpha_s=1.0)
    begin(engine, make_request("a", max_tokens=100))
    engine.step()
    began = time.monotonic()
    engine.approach()
    waited_s = time.monotonic() - began

    assert 0.2 < waited_s < 1.0
    assert engine.step()


PARENT = f"""
from headrace.core.settings import Settings
from tests.fakes import make_request
from worker.engine_process.child import launcher
from worker.engine_process.client import EngineProcess
engine = EngineProcess(Settings(), launcher("worker-1", {CHILD!r}))
engine.add(make_request("a"))
print(engine.pid, flush=True)
engine.step()
"""


def test_kill_9_of_a_worker_ends_its_engine_in_the_middle_of_a_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADRACE_SIMULATED_ALPHA_S", str(STILL_S))
    monkeypatch.setenv("HEADRACE_STATE_DIR", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    eventually(lambda: not is_alive(child), timeout_s=1.0)

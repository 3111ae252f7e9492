"""A deployment and its engine called directly: both are loaded, and one computes at a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.closed_loop import Answer, Course, first_token_s, tokens_within
from bench.engine_contender import Contender
from bench.prepared import link_models
from bench.process_roles import cpu_by_role, process_cpu_s
from bench.up import Up
from headrace.core.cores import with_fair_threads
from headrace.core.settings import as_environment, load_settings

GENERATOR, DIRECT = "load generator", "engine called directly"
LAW_S = {"alpha": 0.021, "beta": 0.0012, "gamma": 0.0001}
"""Law of the simulated engine: a step of 22 ms with one row and 59 ms with 32, as SmolLM2's."""


@dataclass(frozen=True)
class Run:
    """Figures of one side in its window of `seconds`; `idle_cpu_s` is what the other one used.

    `cpu_s` is by role, `first_token_s` by request.
    """

    tokens: float
    seconds: float
    first_token_s: Sequence[float]
    cpu_s: Mapping[str, float]
    idle_cpu_s: float

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds


class Sides:
    """`users` send to the deployment `up`; `direct` has users and engine in one process."""

    def __init__(self, up: Up, users: Contender, direct: Contender) -> None:
        self._up = up
        self._users = users
        self._direct = direct

    def service(self, course: Course) -> Run:
        """Through HTTP and the queue. Raises `RuntimeError` where a request fails."""
        answers, cpu_s = self._run(self._users, course)
        idle_s = cpu_s.pop(DIRECT)
        return _run_of(answers, course, cpu_s, idle_s)

    def directly(self, course: Course) -> Run:
        """Into the engine. Raises `RuntimeError` where a request fails."""
        answers, cpu_s = self._run(self._direct, course)
        own_s = cpu_s.pop(DIRECT)
        return _run_of(answers, course, {DIRECT: own_s}, sum(cpu_s.values()))

    def _run(self, side: Contender, course: Course) -> tuple[list[Answer], dict[str, float]]:
        """The answers, and the CPU seconds of every role while the window was open."""
        side.begin("run", **course.encode())
        _sleep_until(course.opens_at)
        before = self._cpu_s()
        _sleep_until(course.closes_at)
        after = self._cpu_s()
        answers = [Answer.decode(fields) for fields in side.reply()["answers"]]
        return answers, {role: spent - before.get(role, 0.0) for role, spent in after.items()}

    def _cpu_s(self) -> dict[str, float]:
        clients = {GENERATOR: self._users.pid, DIRECT: self._direct.pid}
        alone = {role: process_cpu_s(psutil.Process(pid)) for role, pid in clients.items()}
        return cpu_by_role(self._up.pid) | alone


@contextmanager
def loaded(engine: str, folder: Path, models: Path | None) -> Iterator[Sides]:
    """Both sides on one engine, with the settings of this environment."""
    state = folder / engine
    state.mkdir()
    link_models(state, models)
    law = {f"simulated_{part}_s": seconds for part, seconds in LAW_S.items()}
    settings = with_fair_threads(load_settings(state_dir=state, engine=engine, **law))
    variables = as_environment(settings)
    with (
        deployment(engine, state) as up,
        service_users(up.url, folder / f"{engine}-users.log") as users,
        Contender(
            Path(sys.executable),
            "engine_users",
            folder / f"{engine}-direct.log",
            environment=variables,
        ) as direct,
    ):
        yield Sides(up, users, direct)


def deployment(engine: str, state: Path) -> Up:
    """One that has not been started, on the models in a state folder."""
    law = {f"HEADRACE_SIMULATED_{part.upper()}_S": str(each) for part, each in LAW_S.items()}
    return Up(state, HEADRACE_ENGINE=engine, **law)


def service_users(url: str, log: Path, *options: str) -> Contender:
    """Users in a process of their own, who have not been started."""
    return Contender(Path(sys.executable), "service_users", log, [url, *options])


def _run_of(
    answers: Sequence[Answer], course: Course, cpu_s: Mapping[str, float], idle_s: float
) -> Run:
    """Raises `RuntimeError` where the window saw no token: nothing can be compared with that."""
    tokens = tokens_within(answers, course)
    if not tokens:
        raise RuntimeError(f"no token came within {course.seconds:g} s: take a longer --seconds")
    return Run(tokens, course.seconds, first_token_s(answers, course), cpu_s, idle_s)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))

"""Two scalers, a supervisor and its workers on one server, in any order of events.

No worker is told to end that runs a job, or is given one afterwards; one scaler acts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headrace.cli.child import Child
from headrace.cli.crew import Crew
from headrace.cli.wanted import LOOK_EVERY_S, ScaledNumber
from headrace.cli.worker_release import WorkerRelease
from headrace.core import events
from headrace.core.card_store import CardStore
from headrace.core.connection import Client
from headrace.core.decision_log import decisions
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.handover import Claim, Outcome
from headrace.core.jobs.job import Report
from headrace.core.jobs.queue import JobQueue
from headrace.core.leadership import Leadership
from headrace.core.roster import Roster, WorkerState, number_of
from headrace.core.settings import Settings
from headrace.core.types import EngineStats, Room
from scaler.daemon import Daemon
from scaler.decision import Decision
from scaler.processes import ProcessFleet
from scaler.reader import Reader
from scaler.readings import Reading, Unknown
from tests.fakes import CARD, make_request
from tests.unit.cli.fakes import FakeClock, FakeProcess, FakeSpawner
from tests.unit.core.jobs.steps import RESULT

LEAST, MOST = 1, 4
SIZE = st.integers(0, 6)
ROOM = Room(slots=1, tokens=1000)
A_FEW, MANY = st.integers(1, 3), st.integers(0, 9)


class Wish:
    """A policy that wants what it was told last."""

    size = LEAST

    def decide(self, reading: Reading, now: float) -> Decision:
        return Decision(self.size, "it was told to", holds=isinstance(reading, Unknown))


class Scaler:
    def __init__(self, redis: Client, settings: Settings, name: str, clock: FakeClock) -> None:
        self.wish = Wish()
        self.leadership = Leadership(redis, settings, name, lease_s=60.0)
        self.daemon = Daemon(
            Reader(redis, 6.0, clock, number_of),
            self.leadership,
            DesiredFleet(redis, settings),
            ProcessFleet(redis, self.leadership),
            lambda size: self.wish,
            settings,
            clock,
        )


class Workers(FakeSpawner):
    """Ends nobody by itself: who was told to end may take a while."""

    def __call__(self, command: Sequence[str]) -> FakeProcess:
        process = super().__call__(command)
        process.ends_after_terms = None
        return process

    def alive(self) -> list[FakeProcess]:
        return [process for process in self.processes if process.code is None]


class Fleet(RuleBasedStateMachine):
    redis: Client
    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self.redis.flushall()
        CardStore(self.redis).put(CARD)
        self.clock, self.spawner = FakeClock(), Workers()
        self.queue = JobQueue(self.redis, self.settings)
        self.desired = DesiredFleet(self.redis, self.settings)
        self.release = WorkerRelease(self.redis, self.settings)
        self.crew = Crew(ScaledNumber(self.desired, 2, self.clock), self._hire, self.clock)
        self.crew.start()
        self.scalers = [self._new_scaler(), self._new_scaler()]
        self.held: defaultdict[str, list[Claim]] = defaultdict(list)
        self.jobs = 0
        self.arrive()

    def _hire(self, number: int) -> Child:
        return Child(
            f"worker-{number}",
            lambda run: (run,),
            spawn=self.spawner,
            clock=self.clock,
            on_death=self.release,
            on_end=self.release.without_blame,
        )

    def _new_scaler(self) -> Scaler:
        self.scalers_made = getattr(self, "scalers_made", 0) + 1
        name = f"scaler-{self.scalers_made}"
        return Scaler(self.redis, self.settings, name, self.clock)

    @rule()
    def arrive(self) -> None:
        for process in self.spawner.alive():
            state = WorkerState(process.name, "ready", process.pid, "fake", EngineStats())
            Roster(self.redis, ttl_s=60).beat(state)

    @rule(jobs=A_FEW)
    def work(self, jobs: int) -> None:
        """Jobs come, and the highest numbers take them first."""
        for _job in range(jobs):
            self.jobs += 1
            self.queue.submit(make_request(f"job-{self.jobs}"))
        for process in reversed(self.spawner.alive()):
            claims = self.queue.claim(process.name, ROOM).claims
            assert not (claims and process.terms)
            self.held[process.name] += claims

    @rule(which=MANY)
    @precondition(lambda self: any(self.held.values()))
    def finish(self, which: int) -> None:
        busy = [name for name, claims in self.held.items() if claims]
        self._finish_one(busy[which % len(busy)])

    def _finish_one(self, worker: str) -> None:
        claim = self.held[worker].pop()
        self.queue.finish(worker, [Outcome(claim, Report(), 1, RESULT, "stop")])

    @rule(size=SIZE)
    def tick(self, size: int) -> None:
        """Both see the same; one of them acts."""
        records = []
        for scaler in self.scalers:
            scaler.wish.size = size
            records.append(scaler.daemon.tick())
        assert records.count(None) >= 1

    @rule(scaler=st.integers(0, 1), size=SIZE)
    def be_late(self, scaler: int, size: int) -> None:
        """It stands still between deciding and acting, until the other leads."""
        late, other = self.scalers[scaler], self.scalers[1 - scaler]
        late.wish.size = size
        before = self.desired.read(), self.redis.smembers(keys.DRAINING)
        take = late.leadership.take

        def take_and_sleep() -> int:
            fence = take()
            self.lose_the_lease()
            other.leadership.take()
            return fence

        late.leadership.take = take_and_sleep  # type: ignore[method-assign]
        assert late.daemon.tick() is None
        late.leadership.take = take  # type: ignore[method-assign]
        assert (self.desired.read(), self.redis.smembers(keys.DRAINING)) == before

    @rule(scaler=st.integers(0, 1), waits=st.booleans())
    def replace_a_scaler(self, scaler: int, waits: bool) -> None:
        """One is killed; its lease may not be over yet."""
        self.scalers[scaler] = self._new_scaler()
        if not waits:
            self.lose_the_lease()

    @rule()
    def lose_the_lease(self) -> None:
        if self.redis.exists(keys.SCALER):
            self.redis.hset(keys.SCALER, "until", 1)

    @rule(size=st.none() | SIZE)
    def want(self, size: int | None) -> None:
        """What a person does: fixes the number, or hands the fleet back."""
        if size is None:
            self.desired.auto()
        else:
            self.desired.fix(size)

    @rule()
    def look(self) -> None:
        self.clock.sleep(LOOK_EVERY_S)
        self.crew.watch()

    @rule()
    def end(self) -> None:
        """Whoever was told to."""
        for process in self.spawner.alive():
            if process.terms:
                process.end(0)

    @rule(which=MANY)
    def crash(self, which: int) -> None:
        if alive := self.spawner.alive():
            process = alive[which % len(alive)]
            process.end(1)
            self.crew.watch()
            self.held.pop(process.name, None)

    @invariant()
    def nobody_is_told_to_end_who_runs_a_job(self) -> None:
        for process in self.spawner.alive():
            if process.terms:
                assert not self.held[process.name]
                key = f"{rq_adapter.worker_key(process.name)}:executions"
                assert not self.redis.exists(key)

    @invariant()
    def one_acts_within_its_bounds(self) -> None:
        records = decisions(self.redis, 5000)
        fences = [record.fence for record in records]
        assert fences == sorted(fences)
        sizes = {record.size for record in records if record.mode == "auto"}
        assert sizes <= {None, *range(LEAST, MOST + 1)}

    def teardown(self) -> None:
        """Whatever was, the fleet gets the size that is wanted, and every job ends once."""
        self.want(None)
        self.lose_the_lease()
        self._repeat(MOST)
        self._repeat(LEAST)
        ended = [record.job_id for record in events.completions(self.redis, 1000)]
        assert sorted(ended) == sorted(f"job-{number + 1}" for number in range(self.jobs))
        assert not self.redis.exists(keys.DRAINING, keys.SURPLUS, keys.DISMISSED)

    def _repeat(self, size: int) -> None:
        """Until there are so many, and no job is left."""
        for _turn in range(200):
            if self._is_at_rest(size):
                return
            self.tick(size)
            self.look()
            self.end()
            self.arrive()
            self.work(0)
            for worker, claims in self.held.items():
                if claims:
                    self._finish_one(worker)
        raise AssertionError(f"no fleet of {size}")

    def _is_at_rest(self, size: int) -> bool:
        alive = len(self.spawner.alive()) == len(self.crew.workers)
        return alive and len(self.crew.workers) == size and not self._has_work()

    def _has_work(self) -> bool:
        return bool(self.queue.waiting() or any(self.held.values()))


@pytest.fixture
def machine(redis: Client, settings: Settings) -> Callable[[], Fleet]:
    bounds = {"scaler_min": LEAST, "scaler_max": MOST}
    here = {"redis": redis, "settings": settings.model_copy(update=bounds)}
    return type("FleetHere", (Fleet,), here)


def test_whatever_happens_no_busy_worker_is_told_to_end_and_one_scaler_acts(
    machine: Callable[[], Fleet],
) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_who_is_told_to_end_is_given_nothing_though_so_many_are_wanted_again(
    machine: Callable[[], Fleet],
) -> None:
    fleet = machine()
    fleet.tick(1)
    fleet.look()
    assert [process.terms for process in fleet.spawner.alive()] == [0, 1]
    fleet.tick(2)
    fleet.work(3)
    fleet.teardown()


def test_who_drains_and_is_called_back_was_never_told_to_end(
    machine: Callable[[], Fleet],
) -> None:
    fleet = machine()
    fleet.work(2)
    fleet.tick(1)
    fleet.look()
    fleet.tick(2)
    fleet.look()
    assert [process.terms for process in fleet.spawner.alive()] == [0, 0]
    fleet.teardown()

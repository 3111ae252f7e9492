"""The promise, whatever happens in whatever order: workers die, wake up late, jobs are cancelled.

Every accepted job reaches exactly one terminal state, and its stream never contradicts its result.
"""

from __future__ import annotations

import itertools
import json
import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rq.job import Job as RqJob
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from batcher.generation import Generation
from batcher.simulated import SimulatedEngine
from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority, Room, Sampling
from tests.bench import Bench
from tests.fakes import CARD, make_card, make_request
from worker.engine_port import LocalEngine

WORKERS, JOBS = 2, 6
WORKER, JOB = st.integers(0, WORKERS - 1), st.integers(0, JOBS - 1)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(1, 10)),
        st.tuples(st.just("submit interactive"), st.integers(1, 10)),
        st.tuples(st.just("submit for the other card"), st.integers(1, 10)),
        st.tuples(st.just("submit as the version before"), st.integers(1, 10)),
        st.tuples(st.just("change card"), WORKER),
        st.tuples(st.just("turn"), WORKER),
        st.tuples(st.just("turn"), WORKER),
        st.tuples(st.just("turn"), WORKER),
        st.tuples(st.just("kill"), WORKER),
        st.tuples(st.just("silence"), WORKER),
        st.tuples(st.just("wake a late worker"), WORKER),
        st.tuples(st.just("release"), WORKER),
        st.tuples(st.just("cancel"), JOB),
        st.tuples(st.just("stock cancel"), JOB),
        st.tuples(st.just("change priority"), JOB),
        st.tuples(st.just("lose an answer"), WORKER),
        st.tuples(st.just("forget scripts"), WORKER),
    ),
    min_size=10,
    max_size=40,
)
SILENT = [("submit", 6), ("turn", 0), ("silence", 0)]
TAKEN_OVER = [*SILENT, ("turn", 0)]
BESIDE_A_SUSPECT = [
    *[("submit", 1), ("submit", 1), ("submit", 3), ("submit", 1), ("turn", 0), ("kill", 0)],
    *[("lose an answer", 0), ("kill", 0), ("turn", 1), ("lose an answer", 1), ("kill", 1)],
]


PREEMPTED = [*[("submit", 9)] * 3, ("turn", 0), ("submit interactive", 2), ("turn", 0)]
AWAY = [("submit for the other card", 3), ("submit", 2), ("turn", 0)]
OTHER = make_card("other")


class Voice(SimulatedEngine):
    """Each worker answers with a letter of its own, so that a text tells who wrote it."""

    letter = "a"

    def _next_id(self, row: Generation) -> int:
        (token_id,) = CARD.tokenize(self.letter)
        return token_id


class World:
    """Two workers, their dead and late predecessors, and every job that was acknowledged."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        redis.flushall()
        self.redis = redis
        self._settings = settings.model_copy(update={"max_slots": 3, "max_deaths": 1000})
        self._numbers = itertools.count()
        self.cards = [CARD] * WORKERS
        self.workers = [self._new_worker(CARD) for _ in range(WORKERS)]
        self.late: list[Bench] = []
        self.accepted: dict[str, int] = {}
        self.wanted: dict[str, ModelCard] = {}

    def _replace(self, number: int) -> None:
        self.workers[number] = self._new_worker(self.cards[number])

    def _new_worker(self, card: ModelCard) -> Bench:
        number = next(self._numbers)
        bench = Bench(self.redis, self._settings, f"{card.name}-{number}", card=card)
        bench.queue.wait_for_ring = lambda *_args: None  # type: ignore[method-assign]
        voice = Voice(bench.queue.settings, card, bench.clock)
        bench.worker.engine = LocalEngine(voice)
        voice.letter = string.ascii_letters[number % len(string.ascii_letters)]
        return bench

    def act(self, action: str, number: int) -> None:
        worker = self.workers[number] if number < WORKERS else self.workers[0]
        match action:
            case "submit":
                self._submit(CARD, max_tokens=number)
            case "submit interactive":
                self._submit(CARD, max_tokens=number, priority=Priority.INTERACTIVE)
            case "submit for the other card":
                self._submit(OTHER, max_tokens=number)
            case "submit as the version before":
                job_id = self._submit(OTHER, max_tokens=number)
                self.redis.hdel(f"rq:job:{job_id}", "hr_card", "hr_model")
            case "change card":
                worker.worker._give_back()
                self.cards[number] = OTHER if self.cards[number] is CARD else CARD
                self._replace(number)
            case "turn":
                self._turn(worker)
            case "kill":
                worker.leases.take_back(worker.worker.name)
                self._replace(number)
            case "silence":  # stopped: its leases run out, but it does not know
                for job_id in worker.worker.running:
                    self.redis.zadd(keys.LEASES, {job_id: 1.0}, xx=True)
                worker.leases.sweep()
                self.late.append(worker)
                self._replace(number)
            case "wake a late worker":
                for late in self.late:
                    self._turn(late)
            case "release":
                worker.worker._give_back()
                self._replace(number)
            case "cancel":
                if f"job-{number}" in self.accepted:
                    worker.queue.cancel(f"job-{number}")
            case "stock cancel":
                self._stock_cancel(f"job-{number}")
            case "change priority":
                if f"job-{number}" in self.accepted:
                    worker.queue.reprioritise(f"job-{number}", Priority.BATCH)
            case "lose an answer":
                card_hash = self.cards[number].hash
                room = Room(slots=2, tokens=1000)
                worker.queue.claim(worker.worker.name, room, card_hash=card_hash)
                worker.worker._has_lost_an_answer = True
            case "forget scripts":
                self.redis.script_flush()

    def settle(self) -> None:
        """Lets the living finish, and a worker of each card that jobs wait for."""
        missing = {name: card for name, card in self.wanted.items() if card not in self.cards}
        everybody = [*self.workers, *self.late, *map(self._new_worker, missing.values())]
        for _turn in range(80):
            if not any(self._has_work(worker) for worker in everybody):
                break
            for worker in everybody:
                self._turn(worker)
        # What stock RQ did is noticed when a lease ends, or by whoever claims next.
        for job_id in self.redis.zrange(keys.LEASES, 0, -1):
            self.redis.zadd(keys.LEASES, {job_id: 1.0})
        assert self.workers[0].leases.sweep().redelivered == []
        assert self.workers[0].queue.claim("last", Room(slots=8, tokens=1000)).claims == []

    def _stock_cancel(self, job_id: str) -> None:
        if job_id in self.accepted:
            job = RqJob.fetch(job_id, connection=self.redis, serializer=JSONSerializer)
            if job.get_status() in (JobStatus.QUEUED, JobStatus.STARTED):
                job.cancel()

    def _submit(
        self, card: ModelCard, max_tokens: int, priority: Priority = Priority.DEFAULT
    ) -> str:
        job_id = f"job-{len(self.accepted)}"
        if len(self.accepted) < JOBS:
            rules = Sampling(max_tokens, temperature=0.0, logprobs=1)
            request = make_request(
                job_id, sampling=rules, model=card.name, card_hash=card.hash, priority=priority
            )
            self.workers[0].submit(request)
            self.accepted[job_id] = max_tokens
            self.wanted[card.name] = card
        return job_id

    def _has_work(self, bench: Bench) -> bool:
        worker = bench.worker
        return bool(worker.running or bench.queue.waiting() or worker._has_lost_an_answer)

    def _turn(self, bench: Bench) -> None:
        if self._has_work(bench):
            bench.worker.turn()


def last_batch_size(redis: Client, job_id: str) -> int:
    """How many jobs its last worker had when it died."""
    deaths = json.loads(redis.hget(f"rq:job:{job_id}", "hr_died"))
    return int(deaths[-1]["batch_size"])


@pytest.mark.timeout(300)  # three hundred small lives: two minutes where the machine is busy
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(actions=[*SILENT, ("wake a late worker", 0)])
@example(actions=[*TAKEN_OVER, *[("wake a late worker", 0)] * 3, ("turn", 0)])
@example(actions=BESIDE_A_SUSPECT)
@example(actions=[*PREEMPTED, ("silence", 0), ("turn", 1), ("wake a late worker", 0)])
@example(actions=[*PREEMPTED, ("kill", 0), ("turn", 1), ("stock cancel", 2)])
@example(actions=[*AWAY, ("change card", 1), ("turn", 1), ("silence", 1), ("turn", 0)])
@example(actions=[*AWAY, ("stock cancel", 0), ("cancel", 0), ("change priority", 0)])
@given(actions=ACTIONS)
def test_every_accepted_job_ends_once_and_its_stream_says_what_its_result_says(
    redis: Client, settings: Settings, actions: list[tuple[str, int]]
) -> None:
    world = World(redis, settings)
    for action, number in actions:
        world.act(action, number)
    world.settle()

    records = [record.job_id for record in events.completions(redis, 1000)]
    assert sorted(records) == sorted(world.accepted)
    for job_id, max_tokens in world.accepted.items():
        job = world.workers[0].queue.get(job_id)
        stream = events.tokens(redis, job_id)
        streamed = "".join(event.text for event in stream)
        assert [event.state for event in stream if event.state] == [job.state]
        assert job.state in (JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED)
        if job.state is JobState.FAILED:
            assert last_batch_size(redis, job_id) == 1
        assert len(streamed) <= max_tokens
        if job.state is JobState.SUCCEEDED:
            assert job.result is not None
            assert job.result["text"] == streamed
            assert len(streamed) == job.result["usage"]["completion_tokens"] == max_tokens
            assert job.report is not None
            assert job.report.worker.startswith(f"{job.request.model}-")
            entries = [entry for event in stream for entry in event.logprobs]
            assert [entry.encode() for entry in entries] == job.result["logprobs"]
            assert [entry.token_id for entry in entries] == [*CARD.tokenize(streamed)]
        assert all(seconds >= 0 for seconds in job.timings.stages.values())
    assert redis.zcard(keys.LEASES) == 0
    assert world.workers[0].queue.waiting() == 0
    assert [redis.zcard(f"rq:wip:{queue}") for queue in keys.QUEUE_NAMES.values()] == [0, 0, 0]
    assert redis.keys("headrace:fair:*") == redis.keys("headrace:share:*") == []
    assert redis.keys("headrace:*@*") == redis.keys(keys.ASIDE) == []

"""The simulation: requests, one queue, a fleet that starts, drains, crashes, and a policy.

Workers fetch: a request goes to the ready worker with the fewest rows, or waits for a slot. Events
are arrivals, ends of requests, workers that get ready, die or are killed, and ticks.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from headrace.core.step_sums import StepSums
from headrace.planning.machine import Machine
from headrace.planning.simulated_worker import NEVER, Worker
from headrace.planning.trace import Trace
from headrace.planning.view import Scaler, View
from scaler.readings import Load, Member, Phase, Reading, Readings, Unknown

GRACE_S = 30.0
AFTER_S = 120.0
"""So long after the last arrival requests may still end."""
FIRST_BACKOFF_S, MOST_BACKOFF_S = 10.0, 300.0

Act = Callable[[float], None]


@dataclass(frozen=True)
class Span:
    begin: float
    end: float

    def __contains__(self, moment: float) -> bool:
        return self.begin <= moment < self.end


NO_SPAN = Span(0.0, 0.0)


@dataclass(frozen=True)
class Course:
    """What a run is made of, besides trace and policy.

    `cold_start_s` of the n-th worker that is started; the `first` ones are ready from the begin.
    `limits`: fewest and most workers. `allowed`: the `max_tokens` of every request, since how long
    an answer gets nobody knows before; None: what it gets. No policy can read anything in an
    `outage`; in `crashes` workers die as they come.
    """

    machine: Machine
    cold_start_s: Callable[[int], float]
    first: int
    limits: tuple[int, int]
    allowed: float | None = None
    outage: Span = NO_SPAN
    crashes: Span = NO_SPAN


@dataclass
class Outcome:
    """When each request had its first token and its end, infinite where it had none.

    `sizes`: (moment, desired).
    """

    trace: Trace
    firsts: list[float]
    ends: list[float]
    worker_s: float = 0.0
    busy_kills: int = 0
    sizes: list[tuple[float, int]] = field(default_factory=list)


def simulate(trace: Trace, scaler: Scaler, course: Course) -> Outcome:
    return Simulation(trace, scaler, course).run()


class Simulation:
    def __init__(self, trace: Trace, scaler: Scaler, course: Course) -> None:
        self._trace, self._scaler, self._course = trace, scaler, course
        self._machine = course.machine
        self._prompts, self._outputs = list(trace.prompts), list(trace.outputs)
        self._arrivals = list(trace.arrivals)
        allowed = course.allowed
        self._allowed = self._outputs[:] if allowed is None else [allowed] * len(self._outputs)
        self._costs = [
            prompt + most for prompt, most in zip(self._prompts, self._allowed, strict=True)
        ]
        self._queue: deque[int] = deque()
        self._outcome = Outcome(trace, [NEVER] * len(trace), [NEVER] * len(trace))
        self._fleet: dict[int, Worker] = {}
        self._ready: list[Worker] = []
        self._events: list[tuple[float, int, int, Act]] = []
        self._order = count()
        self._sums = [0.0] * 9
        self._arrived = Totals()
        self._completed = Totals()
        self._produced = 0.0
        self._latencies: deque[tuple[float, float]] = deque()
        self._cold_starts: deque[float] = deque(maxlen=20)
        self._deaths: list[float] = []
        self._spawned = 0
        self._desired = 0

    def run(self) -> Outcome:
        for _worker in range(self._course.first):
            self._spawn(0.0, cold_s=0.0)
        self._desired = self._course.first
        self._outcome.sizes.append((0.0, self._desired))
        self._at(0.0, self._tick)
        self._loop()
        for worker in self._fleet.values():
            self._pay(worker, NEVER)
        return self._outcome

    def _loop(self) -> None:
        arrivals, events, jobs = self._arrivals, self._events, len(self._arrivals)
        job, last = 0, self._trace.seconds + AFTER_S
        while True:
            moment = events[0][0]
            if job < jobs and arrivals[job] <= moment:
                self._arrive(arrivals[job], job)
                job += 1
            elif moment > last or (job == jobs and self._is_over(moment)):
                return
            else:
                heapq.heappop(events)[3](moment)

    def _is_over(self, now: float) -> bool:
        return now > self._trace.seconds and self._completed.jobs == len(self._arrivals)

    def _at(self, moment: float, act: Act, version: int = 0) -> None:
        heapq.heappush(self._events, (moment, next(self._order), version, act))

    def _arrive(self, now: float, job: int) -> None:
        self._arrived.add(self._cost(job))
        best, fewest = None, self._machine.slots
        if not self._queue:
            for worker in self._ready:
                rows = len(worker.rows)
                if rows < fewest:
                    best, fewest = worker, rows
        if best is None:
            self._queue.append(job)
            return
        best.advance(now)
        self._admit(best, job)
        self._plan(best)

    def _admit(self, worker: Worker, job: int) -> None:
        first = worker.admit(job, self._prompts[job], self._outputs[job])
        firsts = self._outcome.firsts
        firsts[job] = min(firsts[job], first)  # What was streamed stays, whoever goes on with it.

    def _plan(self, worker: Worker) -> None:
        worker.version += 1
        version = worker.version
        if worker.rows:
            self._at(worker.next_end(), lambda now: self._end(now, worker, version))

    def _end(self, now: float, worker: Worker, version: int) -> None:
        if version != worker.version:
            return
        worker.advance(now)
        for job in worker.pop_ended():
            self._outcome.ends[job] = now
            self._completed.add(self._cost(job))
            self._produced += self._trace.outputs[job]
            self._latencies.append((now, now - self._arrivals[job]))
        self._fetch(now, worker)
        if worker.is_draining and not worker.rows:
            self._remove(now, worker)

    def _fetch(self, now: float, worker: Worker) -> None:
        """`worker` stands at `now`."""
        if not worker.is_draining:
            while self._queue and len(worker.rows) < self._machine.slots:
                job = self._queue.popleft()
                self._admit(worker, job)
        self._plan(worker)

    def _spawn(self, now: float, cold_s: float | None = None, restarts: int = 0) -> None:
        number = next(number for number in count(1) if number not in self._fleet)
        if cold_s is None:
            cold_s = self._course.cold_start_s(self._spawned)
            self._spawned += 1
        worker = Worker(number, now, now + cold_s, self._machine, self._sums)
        self._fleet[number] = worker
        if cold_s > 0:
            self._at(worker.ready_at, lambda moment: self._become_ready(moment, worker, cold_s))
        else:
            self._ready.append(worker)

    def _become_ready(self, now: float, worker: Worker, cold_s: float) -> None:
        if self._fleet.get(worker.number) is not worker:
            return
        if now in self._course.crashes:
            self._crash(now, worker, cold_s)
            return
        self._cold_starts.append(cold_s)
        self._ready.append(worker)
        self._ready.sort(key=lambda each: each.number)
        worker.at = now
        worker.ready_at = now
        self._fetch(now, worker)

    def _crash(self, now: float, worker: Worker, cold_s: float) -> None:
        """It dies as it comes, and is started again after a while, twice as long each time."""
        self._deaths.append(now)
        backoff_s = min(MOST_BACKOFF_S, FIRST_BACKOFF_S * 2**worker.restarts)
        worker.restarts += 1
        worker.ready_at = now + backoff_s + cold_s
        self._at(worker.ready_at, lambda moment: self._become_ready(moment, worker, cold_s))

    def _resize(self, now: float, size: int) -> None:
        least, most = self._course.limits
        size = min(max(size, least), most)
        if size == self._desired:
            return
        self._desired = size
        self._outcome.sizes.append((now, size))
        staff = [worker for worker in self._fleet.values() if not worker.is_draining]
        for _missing in range(size - len(staff)):
            if not (self._scaler.is_ours and self._call_back(now)):
                self._spawn(now)
        staff.sort(key=lambda worker: worker.number)
        for worker in reversed(staff[size:]):
            self._drain(now, worker)

    def _call_back(self, now: float) -> bool:
        draining = [worker for worker in self._fleet.values() if worker.is_draining]
        if not draining:
            return False
        worker = min(draining, key=lambda each: each.number)
        worker.is_draining = False
        self._ready.append(worker)
        self._ready.sort(key=lambda each: each.number)
        worker.advance(now)
        self._fetch(now, worker)
        return True

    def _drain(self, now: float, worker: Worker) -> None:
        if worker not in self._ready:
            self._remove(now, worker)
            return
        self._ready.remove(worker)
        worker.is_draining = True
        if not worker.rows:
            self._remove(now, worker)
        elif not self._scaler.is_ours:
            self._at(now + GRACE_S, lambda moment: self._kill(moment, worker))

    def _kill(self, now: float, worker: Worker) -> None:
        """Its jobs go to the front, and on behind what they have; their prompts are read again."""
        if self._fleet.get(worker.number) is not worker or not worker.is_draining:
            return
        worker.advance(now)
        self._outcome.busy_kills += 1
        dropped = worker.drop()
        for job, lacking in dropped:
            self._prompts[job] += max(0.0, self._outputs[job] - lacking)
            self._outputs[job] = lacking
        self._queue.extendleft(sorted((job for job, _lacking in dropped), reverse=True))
        worker.version += 1
        self._remove(now, worker)
        for other in self._ready:
            if self._queue and len(other.rows) < self._machine.slots:
                other.advance(now)
                self._fetch(now, other)

    def _remove(self, now: float, worker: Worker) -> None:
        self._pay(worker, now)
        del self._fleet[worker.number]

    def _pay(self, worker: Worker, until: float) -> None:
        """From spawn on, within the time of the load."""
        self._outcome.worker_s += max(0.0, min(until, self._trace.seconds) - worker.spawned_at)

    def _tick(self, now: float) -> None:
        if self._scaler.is_ours or now not in self._course.outage:
            self._resize(now, self._scaler.size(self._view(now)))
        self._at(now + self._scaler.every_s, self._tick)

    def _view(self, now: float) -> View:
        running = sum(len(worker.rows) for worker in self._fleet.values())
        reading = self._reading(now, running) if self._scaler.is_ours else None
        return View(now, len(self._queue), running, len(self._ready), self._desired, reading)

    def _reading(self, now: float, running: int) -> Reading:
        if now in self._course.outage:
            return Unknown("Redis does not answer")
        for worker in self._fleet.values():
            worker.advance(now)
        oldest = self._arrivals[self._queue[0]] if self._queue else now
        return Readings(
            at=now,
            run_id="simulated",
            waiting=Load(len(self._queue), self._waiting_tokens()),
            running=Load(running, self._running_tokens()),
            oldest_wait_s=max(0.0, now - oldest),
            arrived=self._arrived.load(),
            completed=self._completed.load(),
            steps=self._step_sums(),
            p95_s=self._p95(now),
            members=tuple(self._member(worker, now) for worker in self._fleet.values()),
            cold_starts_s=tuple(self._cold_starts),
            deaths=tuple(self._deaths),
            produced=self._produced,
        )

    def _member(self, worker: Worker, now: float) -> Member:
        phase: Phase = "draining" if worker.is_draining else "starting"
        if phase == "starting" and worker.ready_at <= now:
            phase = "ready"
        return Member(worker.number, phase, now - worker.spawned_at, len(worker.rows))

    def _p95(self, now: float) -> float | None:
        while self._latencies and self._latencies[0][0] < now - 60:
            self._latencies.popleft()
        ordered = sorted(latency for _moment, latency in self._latencies)
        return ordered[int(0.95 * (len(ordered) - 1))] if ordered else None

    def _waiting_tokens(self) -> float:
        return sum(self._costs[job] for job in self._queue)

    def _running_tokens(self) -> float:
        workers = self._fleet.values()
        return sum(self._allowed[job] for worker in workers for _end, job in worker.rows)

    def _step_sums(self) -> StepSums:
        n, *sums = self._sums  # Steps are whole only in the mean.
        return StepSums(n, *sums)  # type: ignore[arg-type]

    def _cost(self, job: int) -> float:
        return self._costs[job]


class Totals:
    """Jobs and their tokens since the beginning."""

    def __init__(self) -> None:
        self.jobs = 0
        self.tokens = 0.0

    def add(self, tokens: float) -> None:
        self.jobs += 1
        self.tokens += tokens

    def load(self) -> Load:
        return Load(self.jobs, self.tokens)

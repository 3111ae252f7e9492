"""BatchWorker: jobs in, engine, results out."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import TypeVar

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.worker.base import WorkerStatus

from batcher.admission import Admission
from batcher.engine import Engine
from headrace.core.clock import Clock
from headrace.core.connection import passes_by_itself
from headrace.core.jobs import keys
from headrace.core.jobs.failpoints import Failpoint, make_failpoints
from headrace.core.jobs.handover import Claim, Claimed, Finished, Outcome, Publication
from headrace.core.jobs.job import Report
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.rq_adapter import EXPIRED
from headrace.core.roster import Activity
from headrace.core.types import JobState
from worker.running import REFUSED, TIMEOUT, Running
from worker.step_counts import NoStepCounts, StepCounts

IDLE_WAIT_S = 1.0
"""Longest sleep of an idle worker: jobs that stock RQ enqueued ring no doorbell."""

RETRY_FIRST_S, RETRY_MOST_S = 0.05, 2.0

T = TypeVar("T")
Aged = TypeVar("Aged", Publication, Outcome)
log = structlog.get_logger()


class BatchWorker(SimpleWorker):
    """Runs many jobs of the queue together on one engine, until it has drained.

    Birth, death and commands are RQ's; jobs are claimed, not popped, and never imported.
    """

    def __init__(
        self,
        queue: JobQueue,
        leases: Leases,
        engine: Engine,
        admission: Admission,
        clock: Clock,
        name: str,
        card_hash: str,
    ) -> None:
        super().__init__(
            list(keys.QUEUE_NAMES.values()),
            name=name,
            connection=queue.redis,
            serializer=JSONSerializer,
            log_job_description=False,
        )
        self.engine = engine
        self.running: dict[str, Running] = {}
        self.last_progress = clock.now()
        self._queue = queue
        self._leases = leases
        self._admission = admission
        self._clock = clock
        self._card_hash = card_hash
        self.settings = queue.settings
        self.steps = StepCounts() if self.settings.metrics else NoStepCounts()
        self._failpoints = make_failpoints(self.settings.failpoints)
        self._last_publish = clock.now()
        self._drain_until: float | None = None

    def start(self) -> None:
        """Registers with RQ and listens to its commands."""
        self.register_birth()
        self.subscribe()
        self.set_state(WorkerStatus.IDLE)

    def run(self) -> None:
        """Serves until a signal has drained the worker."""
        self._install_signal_handlers()
        try:
            while not self._has_drained():
                self.turn()
            self._give_back()
        except Exception:
            self._leases.take_back(self.name)
            raise
        finally:
            self.teardown()

    def turn(self) -> None:
        """Admits, steps or rests, publishes, finishes and polices, once."""
        self._admit()
        if self._admission.may_step(len(self.running)):
            self._step()
        else:
            self._rest()
        self._police()
        self._show_state()

    @property
    def activity(self) -> Activity:
        return "ready" if self._drain_until is None else "draining"

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """First signal: take no more and finish what runs. Second: give it back at once."""
        patience = self.settings.drain_s if self._drain_until is None else 0.0
        self._drain_until = self._clock.now() + patience
        log.info("worker drains", running=len(self.running), patience_s=patience)

    # -- one turn ------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Claims the jobs that there is room for."""
        room = self._admission.room(self.engine.room(), len(self.running))
        if self._drain_until is not None or room.slots == 0:
            return
        claimed = self._insist(lambda: self._queue.claim(self.name, room))
        if claimed.claims:
            self._state = WorkerStatus.BUSY  # the script has shown it already
            self._failpoints.hit(Failpoint.AFTER_CLAIM)
        for claim in claimed.claims:
            self._start(claim)
        self._admission.admitted(len(claimed.claims))
        _log_unclaimed(claimed)

    def _start(self, claim: Claim) -> None:
        request = claim.request
        if request is None or request.card_hash != self._card_hash:
            self._refuse(claim)
            return
        if claim.job_id in self.running:  # we stalled, lost it, and got it back before we knew
            self._drop(claim.job_id)
        self.running[claim.job_id] = Running(claim, request, self.name, self._clock.now())
        self.engine.add(request, claim.published_ids)

    def _rest(self) -> None:
        """Nothing to run yet: waits for a job, or for the batch to be closed."""
        until_closed_s = self._admission.wait_s(len(self.running))
        wait_s = IDLE_WAIT_S if until_closed_s is None else min(until_closed_s, IDLE_WAIT_S)
        if self._drain_until is None:
            self._insist(lambda: self._queue.wait_for_ring(wait_s))
        else:
            self._clock.sleep(wait_s)
        self.last_progress = self._clock.now()

    def _step(self) -> None:
        rows, started = len(self.running), self._clock.now()
        deltas = self.engine.step()
        self._failpoints.hit(Failpoint.MID_STEP)
        now = self.last_progress = self._clock.now()
        self.steps.observe(rows, now - started)
        for delta in deltas:
            self.running[delta.request_id].absorb(delta, rows, now)
        ended = [delta.request_id for delta in deltas if delta.is_last]
        self._end([self.running[job_id].outcome(now) for job_id in ended])
        self._publish(now)

    def _publish(self, now: float) -> None:
        """Streams new tokens, coalesced; drops the jobs that are no longer ours."""
        news = [job for job in self.running.values() if job.has_news]
        is_due = now - self._last_publish >= self.settings.publish_interval_ms / 1000
        if not news or not (is_due or any(job.is_urgent for job in news)):
            return
        self._last_publish = now
        publications = [job.publication(now) for job in news]
        published = self._insist(lambda: self._queue.publish(self._aged(publications, now)))
        for job, is_ours in zip(news, published, strict=True):
            if not is_ours:
                self._drop(job.claim.job_id)

    def _police(self) -> None:
        """Ends the jobs whose time is over."""
        now = self._clock.now()
        limit_s = self.settings.job_timeout_s
        overdue: list[Outcome] = []
        for job in self.running.values():
            if job.is_past_deadline(now):
                overdue.append(job.failure(EXPIRED, "the deadline passed while it ran", now))
            elif now - job.started > limit_s:
                overdue.append(job.failure(TIMEOUT, f"it ran longer than {limit_s} s", now))
        for outcome in overdue:
            self.engine.abort(outcome.claim.job_id)
        self._end(overdue)

    # -- ends ----------------------------------------------------------------------------------

    def _end(self, outcomes: list[Outcome]) -> None:
        """Writes the results; a lost connection is no reason to lose one."""
        if not outcomes:
            return
        made = self._clock.now()
        self._failpoints.hit(Failpoint.BEFORE_FINISH)
        finished = self._insist(lambda: self._queue.finish(self.name, self._aged(outcomes, made)))
        self._failpoints.hit(Failpoint.AFTER_FINISH)
        for outcome, result in zip(outcomes, finished, strict=True):
            self.running.pop(outcome.claim.job_id, None)
            _log_end(outcome, result)

    def _refuse(self, claim: Claim) -> None:
        error = claim.refusal or "tokenised for another model than this worker runs"
        report = Report(worker=self.name, attempt=claim.attempt)
        count = len(claim.published_ids)
        self._end([Outcome(claim, report, count, reason=REFUSED, error=error)])

    def _drop(self, job_id: str) -> None:
        self.engine.abort(job_id)
        del self.running[job_id]
        log.warning("job lost: cancelled, or leased to another worker", job_id=job_id)

    def _show_state(self) -> None:
        if not self.running and self.get_state() == WorkerStatus.BUSY:
            self._insist(lambda: self.set_state(WorkerStatus.IDLE))

    def _aged(self, items: Sequence[Aged], made: float) -> list[Aged]:
        """The same, older by the time that a hand-over to Redis has taken."""
        late_s = self._clock.now() - made
        return [replace(item, age_s=item.age_s + late_s) for item in items]

    def _give_back(self) -> None:
        claims = [job.claim for job in self.running.values()]
        released = self._leases.release(claims)
        log.info("worker drained", released=released)

    def _has_drained(self) -> bool:
        if self._drain_until is None:
            return False
        return not self.running or self._clock.now() >= self._drain_until

    def _insist(self, call: Callable[[], T]) -> T:
        """Repeats a call until Redis answers, or the worker's time to drain is over."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                return call()
            except RedisError as error:
                if not passes_by_itself(error) or self._has_drained():
                    raise
                log.warning("Redis takes nothing", error=str(error), retry_s=round(wait_s, 2))
            self._clock.sleep(wait_s * random.uniform(0.5, 1.0))
            self.last_progress = self._clock.now()  # it is Redis that stalls, not the engine
            wait_s = min(wait_s * 2, RETRY_MOST_S)

    def _set_connection(self, connection: Redis) -> Redis:
        # RQ would raise the pool's time-out to minutes for its blocking pop, which we never use.
        return connection


def _log_unclaimed(claimed: Claimed) -> None:
    for job_id in claimed.expired:
        log.info("request finished", job_id=job_id, state=JobState.EXPIRED)
    for job_id, status in claimed.odd:
        log.error("queued id without a waiting job", job_id=job_id, status=status)


def _log_end(outcome: Outcome, result: Finished) -> None:
    """One line a job, whatever became of it."""
    report, job_id = outcome.report, outcome.claim.job_id
    if result.timings is None:
        log.warning("late result refused: the job is another's", job_id=job_id)
        return
    stages = {f"{stage}_ms": _ms(seconds) for stage, seconds in result.timings.stages.items()}
    log.info(
        "request finished",
        job_id=job_id,
        request_id=outcome.claim.request.request_id if outcome.claim.request else None,
        state=outcome.state,
        model=report.model,
        prompt_tokens=report.prompt_tokens,
        output_tokens=report.output_tokens,
        **stages,
        total_ms=_ms(sum(result.timings.stages.values())),
        tokenize_ms=_ms(report.tokenize_s),
        batch_size=round(report.batch_size, 1),
        worker=report.worker,
        attempt=report.attempt,
        reason=outcome.reason,
        **({"error": outcome.error} if outcome.error else {}),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)

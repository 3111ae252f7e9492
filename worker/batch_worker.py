"""BatchWorker: jobs in, engine, results out."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from types import FrameType
from typing import Any, TypeVar

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.command import handle_command, parse_payload
from rq.serializers import JSONSerializer
from rq.worker.base import WorkerStatus

from batcher.admission import Admission
from headrace.core.clock import Clock
from headrace.core.drain_signal import DRAIN
from headrace.core.errors import EngineDied
from headrace.core.jobs import keys
from headrace.core.jobs.failpoints import Failpoint, make_failpoints
from headrace.core.jobs.handover import Claim, Claimed, Outcome
from headrace.core.jobs.job import Report
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.precedence import Precedence
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.rq_adapter import EXPIRED
from headrace.core.redis_errors import passes_by_itself
from headrace.core.roster import Activity
from headrace.core.types import Room
from worker.answer_check.checks import AnswerChecks, NoChecks
from worker.command_listener import CommandListener
from worker.commands import DROP_EXECUTION, Command
from worker.engine_port import EnginePort
from worker.insistence import insist
from worker.request_log import log_end, log_preempted, log_unclaimed
from worker.revival import Revival
from worker.running import ENGINE_ERROR, REFUSED, TIMEOUT, Running
from worker.schema_gate import NoGate, SchemaGate
from worker.slot_shares import SlotShares
from worker.step_counts import NoStepCounts, StepCounts
from worker.traces import NoTraces, Traces

IDLE_WAIT_S = 1.0
"""Longest sleep of an idle worker: jobs that stock RQ enqueued ring no doorbell."""

LOOK_S = 0.02
"""Longest sleep of a worker whose jobs all wait at the gate: a verdict rings no doorbell."""

GIVE_BACK_S = 3.0
"""How long a worker that ends tries to give its jobs back; a supervisor waits 5 s for it."""

T = TypeVar("T")
log = structlog.get_logger()


class BatchWorker(SimpleWorker):
    """Runs many jobs of the queue together on one engine, until it has drained.

    Birth, death and commands are RQ's; jobs are claimed, not popped, and never imported.
    """

    def __init__(
        self,
        queue: JobQueue,
        leases: Leases,
        engine: EnginePort,
        admission: Admission,
        clock: Clock,
        name: str,
        card_hash: str,
        traces: Traces | None = None,
        gate: SchemaGate | None = None,
        checks: AnswerChecks | None = None,
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
        self._traces = traces or NoTraces()
        self._gate = NoGate() if gate is None else gate  # an empty one is false
        self._checks = checks or NoChecks()
        self.settings = queue.settings
        self.steps = StepCounts() if self.settings.metrics else NoStepCounts()
        self._failpoints = make_failpoints(self.settings.failpoints)
        self.is_told_to_drain = False
        self._has_lost_an_answer = False
        self._ending: frozenset[str] = frozenset()
        self._waited_s = 0.0
        self._is_restarting = False
        self._revival = Revival(clock)
        self._shares = SlotShares(
            engine.room(), self.settings.guaranteed_share, admission.may_preempt
        )
        self._last_publish = clock.now()
        self._drain_until: float | None = None
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._listener: CommandListener | None = None

    def start(self) -> None:
        """Registers with RQ and listens to its commands."""
        self.register_birth()
        self.subscribe()
        self.set_state(WorkerStatus.IDLE)

    def run(self) -> None:
        """Serves until a signal has drained the worker."""
        self._install_signal_handlers()
        signal.signal(DRAIN, self.request_drain)
        try:
            self._serve()
            self._give_back()
        except Exception:
            self._leases.take_back(self.name)
            self.running.clear()
            raise
        finally:
            self._sign_off()

    def _serve(self) -> None:
        try:
            while not self._has_drained():
                self.turn()
        except RedisError as error:
            if not (passes_by_itself(error) and self._has_drained()):
                raise
            log.warning("drained without Redis", error=str(error))

    def _sign_off(self) -> None:
        """Unregisters the worker. RQ forgets it by itself where Redis is away.

        One that still holds jobs stays registered: by that its supervisor finds them.
        """
        if self.running:
            return
        try:
            self.teardown()
        except RedisError as error:
            log.warning("worker not unregistered", error=str(error))

    def turn(self) -> None:
        """Does the work of one step; has an engine that died meanwhile loaded anew."""
        try:
            self._turn()
        except EngineDied as death:
            self._is_restarting = True
            self._bury(death)
            self._is_restarting = not self._revival.revive(self.engine, self._has_drained)

    def _turn(self) -> None:
        """Obeys, admits, steps or rests, publishes, finishes and polices, once.

        What it waits for a Redis that is away is none of its own time.
        """
        began, self._waited_s = self._clock.now(), 0.0
        self._obey()
        self._end_checked()
        self._relieve()
        self._admit()
        self._let_in()
        if steps := self._admission.may_step(self._rows):
            self._step()
        else:
            self._rest()
        self._police()
        self._show_state()
        if steps:
            self.steps.turned(self._clock.now() - began - self._waited_s, self.engine.stats())

    @property
    def activity(self) -> Activity:
        if self._is_restarting:
            return "restarting"
        if self._drain_until is None and not self.is_told_to_drain:
            return "ready"
        return "draining" if self.running else "drained"

    def subscribe(self) -> None:
        """Listens to this worker's channel, in place of RQ's own thread."""
        self._listener = CommandListener(
            self.connection,
            self.pubsub_channel_name,
            lambda data: self.handle_payload({"data": data}),
        )
        self._listener.start()

    def unsubscribe(self) -> None:
        if self._listener is not None:
            self._listener.stop()

    def handle_payload(self, message: dict[str, Any]) -> None:
        """Obeys a command of RQ or of `cancel.lua`, in the thread that listens to them.

        Raises any error for one that nobody can read.
        """
        payload = parse_payload(message)
        command = Command.decode(payload)
        if command.is_about_a_job:
            self._commands.put(command)
        else:
            handle_command(self, payload)

    def request_drain(self, signum: int, frame: FrameType | None) -> None:
        """Takes no more jobs and finishes what runs; repeated, it changes nothing."""
        if self._drain_until is None:
            self.request_stop(signum, frame)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """First signal: take no more and finish what runs. Second: give it back at once.

        Who sees in Redis that all has ended may say so before the worker has heard of it.
        """
        patience = self.settings.drain_s if self._drain_until is None else 0.0
        self._drain_until = self._clock.now() + patience
        running = len(self.running.keys() - self._ending)
        log.info("worker drains", running=running, patience_s=patience)

    # -- one turn ------------------------------------------------------------------------------

    def _obey(self) -> None:
        """Ends what was stopped and drops what was cancelled, before the next step."""
        while not self._commands.empty():
            command = self._commands.get()
            job = self.running.get(command.job_id)
            if job is None or not command.means(job.claim):
                continue
            if command.name == DROP_EXECUTION:
                log.info("job dropped: it was cancelled", job_id=command.job_id)
                self._drop(command.job_id)
            else:
                self._end_now([job.stopped(self._clock.now())])

    def _admit(self) -> None:
        """Claims the jobs that there is room for."""
        room = self._admission.room(self._free_room(), len(self.running))
        precedence = self._shares.precedence(self.running.values())
        is_full = not (room.slots or precedence.yielded.slots)
        if self._drain_until is not None or is_full or self._is_isolating:
            return
        self.engine.approach()
        claimed = self._insist(lambda: self._claim(room, precedence))
        if claimed.is_draining != self.is_told_to_drain:
            log.info("worker is told to drain" if claimed.is_draining else "worker may go on")
        self.is_told_to_drain = claimed.is_draining
        if claimed.claims:
            self._state = WorkerStatus.BUSY  # the script has shown it already
            self._failpoints.hit(Failpoint.AFTER_CLAIM)
        misfits = [claim for claim in claimed.claims if self._is_misfit(claim)]
        if misfits:
            self._pass_on(misfits)
        claims = [claim for claim in claimed.claims if claim not in misfits]
        self._make_room(room, claims)
        for claim in claims:
            self._start(claim)
        self._admission.admitted(len(claims))
        log_unclaimed(claimed)

    def _free_room(self) -> Room:
        """What the engine has free, less what jobs outside of it stand for."""
        free = self._gate.room(self.engine.room())
        return Room(max(0, free.slots - self._being_checked), free.tokens)

    def _relieve(self) -> None:
        """Gives back jobs that outgrew what was expected, before the cache is full."""
        lacking = -self.engine.room().tokens
        if lacking > 0 and (victims := self._shares.overflow(self.running.values(), lacking)):
            self._preempt(victims)

    def _claim(self, room: Room, precedence: Precedence) -> Claimed:
        """May be called again: what a lost answer brought waits again, and nobody died."""
        if self._has_lost_an_answer:
            self._leases.recall(self.name, [job.claim for job in self.running.values()])
        self._has_lost_an_answer = True
        claimed = self._queue.claim(self.name, room, precedence, self._card_hash)
        self._has_lost_an_answer = False
        return claimed

    @property
    def _is_isolating(self) -> bool:
        """Nothing may run beside a job that is suspected of killing its workers."""
        return any(job.claim.is_alone for job in self.running.values())

    def _make_room(self, free: Room, claims: Sequence[Claim]) -> None:
        """Gives back running jobs of lower priority until the claimed requests fit."""
        made = {claim.request: len(claim.published_ids) for claim in claims if claim.request}
        self._shares.claimed(request.priority for request in made)
        cost = sum(request.kept_tokens(tokens) for request, tokens in made.items())
        missing = Room(len(made) - free.slots, cost - free.tokens)
        if victims := self._shares.victims(self.running.values(), missing):
            self._preempt(victims)
            self._failpoints.hit(Failpoint.AFTER_PREEMPT)

    def _preempt(self, victims: Sequence[Running]) -> None:
        """Gives jobs back to the front of their queues, behind all that they have brought."""
        for job in victims:
            self.engine.abort(job.claim.job_id)
        if news := [job for job in victims if job.has_news]:
            self._stream(news, self._clock.now())
        kept = [job for job in victims if job.claim.job_id in self.running]  # by their leases
        self._insist(lambda: self._leases.preempt([job.claim for job in kept]))
        for job in kept:
            del self.running[job.claim.job_id]
            log_preempted(job)

    def _is_misfit(self, claim: Claim) -> bool:
        """Whether a job is of another card, which an older version did not note on it."""
        return claim.request is not None and claim.request.card_hash != self._card_hash

    def _pass_on(self, misfits: list[Claim]) -> None:
        """Gives them back; the next claim finds their cards noted and sets them aside."""
        self._insist(lambda: self._leases.pass_on(misfits))
        self._failpoints.hit(Failpoint.AFTER_PASS_ON)

    def _start(self, claim: Claim) -> None:
        request = claim.request
        if request is None:
            self._refuse(claim)
            return
        if claim.job_id in self.running:  # we stalled, lost it, and got it back before we knew
            self._drop(claim.job_id)
        if claim.is_alone:
            log.warning("runs alone: workers died while they ran it", job_id=claim.job_id)
        self.running[claim.job_id] = Running(claim, request, self.name, self._clock.now())
        if request.sampling.json_schema is not None:
            self._checks.prepare()
        if not self._gate.hold(request):
            self.engine.add(request, claim.published_ids)

    def _let_in(self) -> None:
        """Adds the jobs whose schemas passed their trial, and ends those that were refused."""
        for job_id, complaint in self._insist(lambda: self._gate.decided(self.running)):
            job = self.running[job_id]
            if complaint is None:
                self.engine.add(job.request, job.claim.published_ids)
            else:
                self._end([job.failure(ENGINE_ERROR, complaint, self._clock.now())])

    @property
    def _rows(self) -> int:
        """How many jobs are inside the engine: others wait at the gate, or for their check."""
        return len(self.running) - len(self._gate) - self._being_checked

    @property
    def _being_checked(self) -> int:
        """How many jobs have left the engine and wait for the check of their answer."""
        return sum(job.has_last_token for job in self.running.values())

    def _rest(self) -> None:
        """Nothing to run yet: waits for a job, a verdict, or for the batch to be closed."""
        self.engine.check()
        if self._being_checked:
            self._checks.wait(LOOK_S)
        else:
            self._await_jobs()
        self.last_progress = self._clock.now()

    def _await_jobs(self) -> None:
        most_s = LOOK_S if len(self._gate) else IDLE_WAIT_S
        until_closed_s = self._admission.wait_s(self._rows)
        wait_s = most_s if until_closed_s is None else min(until_closed_s, most_s)
        if self.activity == "ready":
            self._insist(lambda: self._queue.wait_for_ring(wait_s, self._card_hash))
        else:  # a ring is for those who may claim
            self._clock.sleep(wait_s)

    def _step(self) -> None:
        rows = self._rows
        deltas = self.engine.step()
        self._failpoints.hit(Failpoint.MID_STEP)
        now = self.last_progress = self._clock.now()
        self._traces.stepped()
        for delta in deltas:
            self.running[delta.request_id].absorb(delta, rows, now)
        ended = [self.running[delta.request_id] for delta in deltas if delta.is_last]
        for job in ended:
            if job.has_unchecked_answer:
                self._checks.begin(job)
        self._end([job.outcome(now) for job in ended if not job.has_unchecked_answer])
        self._publish(now)

    def _end_checked(self) -> None:
        """Ends the jobs whose answers were checked, unless they ended or left meanwhile."""
        now = self._clock.now()
        checked = self._checks.finished()
        self._end(
            [
                job.judged(*judgement, now)
                for job, judgement in checked
                if self.running.get(job.claim.job_id) is job
            ]
        )

    def _publish(self, now: float) -> None:
        """Streams new tokens, coalesced."""
        news = [job for job in self.running.values() if job.has_news]
        is_due = now - self._last_publish >= self.settings.publish_interval_ms / 1000
        if news and (is_due or any(job.is_urgent for job in news)):
            self._stream(news, now)

    def _stream(self, news: list[Running], now: float) -> None:
        """Publishes their new tokens; drops the jobs that are no longer ours."""
        self._last_publish = now
        publications = [job.publication(now) for job in news]
        published = self._insist(lambda: self._queue.publish(publications, self._clock.now() - now))
        for job, is_ours in zip(news, published, strict=True):
            if not is_ours:
                log.warning("job lost: it has ended, or is another worker's", job_id=job.request.id)
                self._drop(job.claim.job_id)

    def _police(self) -> None:
        """Ends the jobs whose time is over."""
        now = self._clock.now()
        overdue: list[Outcome] = []
        for job in self.running.values():
            if job.is_past_deadline(now):
                overdue.append(job.failure(EXPIRED, "the deadline passed while it ran", now))
            elif job.is_past_timeout(now):
                error = f"it ran longer than {job.claim.timeout_s:g} s"
                overdue.append(job.failure(TIMEOUT, error, now))
        self._end_now(overdue)

    # -- an engine that died ---------------------------------------------------------------------

    def _bury(self, death: EngineDied) -> None:
        """Gives all jobs back; those that ran in the engine have died in it.

        What it brought before is true, and is published.
        """
        log.error("engine died", reason=str(death), ran=len(death.request_ids))
        self.steps.engine_died()
        if news := [job for job in self.running.values() if job.has_news]:
            self._stream(news, self._clock.now())
        claims = {job_id: job.claim for job_id, job in self.running.items()}
        waited = [claim for job_id, claim in claims.items() if job_id not in death.request_ids]
        self._insist(lambda: self._leases.recall(self.name, list(claims.values())))
        self._insist(lambda: self._leases.release(waited))
        self._insist(lambda: self._leases.bury(self.name)).log()
        self.running.clear()
        self._traces.rested()

    # -- ends ----------------------------------------------------------------------------------

    def _end(self, outcomes: list[Outcome]) -> None:
        """Writes the results; a lost connection is no reason to lose one."""
        if not outcomes:
            return
        made = self._clock.now()
        self._failpoints.hit(Failpoint.BEFORE_FINISH)
        self._ending = frozenset(outcome.claim.job_id for outcome in outcomes)
        finished = self._insist(
            lambda: self._queue.finish(self.name, outcomes, self._clock.now() - made)
        )
        self._failpoints.hit(Failpoint.AFTER_FINISH)
        is_heard = log.is_enabled_for(logging.INFO)
        for outcome, result in zip(outcomes, finished, strict=True):
            self.running.pop(outcome.claim.job_id, None)
            self._traces.ended(outcome, result)
            if is_heard or result.verdict in ("lost", "retried"):
                log_end(outcome, result)
        self._ending = frozenset()
        lost = [o.claim for o, r in zip(outcomes, finished, strict=True) if r.verdict == "lost"]
        if lost:
            self._insist(lambda: self._leases.drop(self.name, lost))
        if not self.running:
            self._state = WorkerStatus.IDLE  # the script has shown it already
            self._traces.rested()

    def _end_now(self, outcomes: list[Outcome]) -> None:
        """Ends jobs that the engine would go on with."""
        for outcome in outcomes:
            self.engine.abort(outcome.claim.job_id)
        self._end(outcomes)

    def _refuse(self, claim: Claim) -> None:
        report = Report(worker=self.name, attempt=claim.attempt)
        count = len(claim.published_ids)
        self._end(
            [Outcome(claim, report, count, reason=REFUSED, error=claim.refusal, is_dead=True)]
        )

    def _drop(self, job_id: str) -> None:
        self.engine.abort(job_id)
        claim = self.running.pop(job_id).claim
        self._insist(lambda: self._leases.drop(self.name, [claim]))

    def _show_state(self) -> None:
        if not self.running and self.get_state() == WorkerStatus.BUSY:
            self._insist(lambda: self.set_state(WorkerStatus.IDLE))

    def _give_back(self) -> None:
        """Gives all jobs back; tries for a moment longer than the worker had to drain."""
        until = self._clock.now() + GIVE_BACK_S
        try:
            released = insist(self._release, self._clock, lambda: self._clock.now() >= until)
        except RedisError as error:
            log.error("jobs not given back", running=len(self.running), error=str(error))
        else:
            self.running.clear()
            log.info("worker drained", released=released)

    def _release(self) -> int:
        claims = [job.claim for job in self.running.values()]
        released = self._leases.release(claims)
        if self._has_lost_an_answer:
            released += self._leases.recall(self.name, [])
        return released

    def _has_drained(self) -> bool:
        if self._drain_until is None:
            return False
        return not self.running or self._clock.now() >= self._drain_until

    def _insist(self, call: Callable[[], T]) -> T:
        """Repeats a call until Redis accepts it, or the worker's time to drain is over."""
        return insist(call, self._clock, self._has_drained, self._note_wait)

    def _note_wait(self, seconds: float) -> None:
        self.last_progress = self._clock.now()  # it is Redis that stalls, not the engine
        self._waited_s += seconds
        # A server that failed over may hold leases for us that we have given up, or never knew of.
        self._has_lost_an_answer = True

    def _set_connection(self, connection: Redis) -> Redis:
        # RQ would raise the pool's time-out to minutes for its blocking pop, which we never use.
        return connection

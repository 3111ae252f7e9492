"""The thread that keeps a worker's leases, and takes back those of workers that fell silent."""

from __future__ import annotations

import os
import socket
import threading

import structlog
from redis.exceptions import RedisError

from headrace.core.card_store import CardStore
from headrace.core.clock import Clock
from headrace.core.fidelity import Fidelity
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.counters import Counters
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.log_loss import LogLoss
from headrace.core.jobs.sweeper import BEAT_S, Sweeper
from headrace.core.model_card import ModelCard
from headrace.core.process_age import process_age_s
from headrace.core.roster import Roster, WorkerState
from worker.batch_worker import BatchWorker

RENEWALS_PER_LEASE = 3
LATE = 0.5
"""Part of its interval by which a heartbeat may come later without a word."""
RQ_TTL_S = 60
"""How long RQ lists a worker that fell silent; by itself it would for eight minutes."""

log = structlog.get_logger()


class Heartbeat(threading.Thread):
    """Beats once a second beside the worker's loop."""

    def __init__(
        self,
        worker: BatchWorker,
        leases: Leases,
        counters: Counters,
        roster: Roster,
        cards: CardStore,
        card: ModelCard,
        clock: Clock,
        fidelity: Fidelity | None = None,
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._worker = worker
        self._leases = leases
        self._counters = counters
        self._roster = roster
        self._cards = cards
        self._card = card
        self._fidelity = fidelity
        self._settings = settings = worker.settings
        self._clock = clock
        self._interval_s = min(BEAT_S, settings.lease_s / RENEWALS_PER_LEASE)
        self._sweeper = Sweeper(leases, settings.lease_s, self._interval_s, clock)
        self._log_loss = LogLoss(worker.connection, settings, "worker")
        self._stopped = threading.Event()

    def run(self) -> None:
        due = self._clock.now() + self._interval_s
        while not self._stopped.wait(self._interval_s):
            late_s = self._clock.now() - due
            if late_s > LATE * self._interval_s:
                log.warning("heartbeat late", late_s=round(late_s, 2))
            due = self._clock.now() + self._interval_s
            try:
                self.beat()
            except Exception as error:  # a failing beat never ends the thread
                log.warning("heartbeat missed", error=str(error))

    def stop(self) -> None:
        """Ends the thread, hands in the last counts and takes the worker off the roster."""
        self._stopped.set()
        self.join()
        try:
            self._counters.add(self._worker.name, self._worker.steps.totals)
            self._roster.leave(self._worker.name)
        except RedisError as error:
            log.warning("last counts lost", error=str(error))

    def beat(self) -> None:
        """Renews, unless the engine stalls, and sweeps."""
        if not self._is_stalled():
            self._renew()
        self._sweeper.beat()
        self._log_loss.hand_in()

    def _is_stalled(self) -> bool:
        silence_s = self._clock.now() - self._worker.last_progress
        return bool(self._worker.running) and silence_s > self._settings.engine_stall_s

    def _renew(self) -> None:
        """In one pipeline: where Redis is slow, leases must not wait for the rest."""
        worker = self._worker
        with worker.connection.pipeline(transaction=False) as pipeline:
            self._leases.renew([job.claim for job in list(worker.running.values())], pipeline)
            worker.heartbeat(RQ_TTL_S, pipeline)
            self._counters.add(worker.name, worker.steps.totals, pipeline)
            self._roster.beat(self._state(), pipeline)
            if worker.activity == "ready":
                self._roster.serve(self._card.hash, pipeline)
            pipeline.sismember(keys.DRAINING, worker.name)
            pipeline.exists(rq_adapter.SUSPENDED_KEY)
            pipeline.hexists(keys.CARD, "hash")
            *_done, is_draining, is_suspended, has_card = pipeline.execute()
        worker.is_told_to_drain = bool(is_draining or is_suspended)
        if not has_card:  # the server came back empty
            self._cards.put(self._card)

    def _state(self) -> WorkerState:
        worker = self._worker
        return WorkerState(
            name=worker.name,
            activity=worker.activity,
            pid=os.getpid(),
            engine=worker.engine.name,
            stats=worker.engine.stats(),
            host=socket.gethostname(),
            features=tuple(sorted(worker.engine.features)),
            age_s=process_age_s(),
            fidelity=self._fidelity,
            left_tokens=sum(job.left_tokens for job in list(worker.running.values())),
        )

"""The workers of a StatefulSet: its number of replicas follows what stands in Redis."""

from __future__ import annotations

import re
from collections.abc import Sequence

import structlog

from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.errors import Unavailable
from headrace.core.jobs import keys
from headrace.core.leadership import Leadership
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from scaler.stateful_set import Scale, StatefulSet

log = structlog.get_logger()


class KubernetesFleet:
    """A worker is named after its pod, `worker-NAME-2-a3f9`, and that is number 3. See `Fleet`.

    Kubernetes removes the highest ordinals, so replicas become fewer from the top, and only by
    pods whose workers are dismissed. Whoever is dismissed goes, also where its number is wanted
    again: another one comes behind it. Where the API server is away all stays as it is until the
    next tick.
    """

    def __init__(
        self, redis: Client, leadership: Leadership, settings: Settings, stateful_set: StatefulSet
    ) -> None:
        self._redis = redis
        self._leadership = leadership
        self._desired = DesiredFleet(redis, settings)
        self._roster = Roster(redis, settings.lease_s)
        self._stateful_set = stateful_set
        self._named = re.compile(rf"worker-{re.escape(stateful_set.name)}-(\d+)-")

    def number_of(self, worker: str) -> int | None:
        match = self._named.match(worker)
        return int(match[1]) + 1 if match else None

    def workers(self) -> list[str]:
        starting = (name.decode() for name in self._redis.hkeys(keys.STARTING))
        names = {*starting, *(worker.name for worker in self._roster.workers())}
        return sorted(filter(self.number_of, names), key=self._number)

    def set_size(self, size: int, record: Record | None = None) -> bool:
        scale = self._read()
        workers, dismissed = self.workers(), self._dismissed()
        going = dismissed.intersection(workers)
        bound = min([size, *(self._number(name) - 1 for name in going)])
        surplus = [name for name in workers if self._number(name) > bound]
        if not self._leadership.order(size, surplus, record):
            return False
        if scale and self._leadership.leads():
            self._bury(dismissed, going, scale)
            self._bury_dead()
            self._resize(scale, self._replicas(scale, bound, surplus))
        return True

    def hold(self, record: Record | None = None) -> bool:
        return self._leadership.order(None, (), record)

    def _replicas(self, scale: Scale, bound: int, surplus: Sequence[str]) -> int:
        """As many as there may be now: more at once, fewer as far as everybody above can go."""
        if scale.replicas <= bound:
            return bound
        for name in reversed(surplus):
            if not self._desired.dismiss(name):
                return min(scale.replicas, self._number(name))
        return bound

    def _bury(self, dismissed: set[str], going: set[str], scale: Scale) -> None:
        """Forgets whom Kubernetes has ended. Who was still starting has not said that it left."""
        for name in dismissed - going:
            self._roster.leave(name)
            self._desired.bury(name, is_blameless=True)
        if ended := [name for name in going if self._number(name) > scale.replicas]:
            self._redis.hdel(keys.STARTING, *ended)

    def _bury_dead(self) -> None:
        """Who started and has a successor has died of it: a pod has one worker."""
        began = {
            name.decode(): float(at) for name, at in self._redis.hgetall(keys.STARTING).items()
        }
        newest: dict[int, str] = {}
        for name in sorted(filter(self.number_of, began), key=began.__getitem__):
            if predecessor := newest.get(self._number(name)):
                self._roster.leave(predecessor)
                self._desired.bury(predecessor, is_blameless=False)
            newest[self._number(name)] = name

    def _dismissed(self) -> set[str]:
        names = (name.decode() for name in self._redis.smembers(keys.DISMISSED))
        return set(filter(self.number_of, names))

    def _read(self) -> Scale | None:
        """None where it is not known, and for a spectator, who is to change nothing."""
        if not self._leadership.leads():
            return None
        try:
            return self._stateful_set.read()
        except Unavailable as error:
            log.warning("the number of pods stays as it is", error=str(error))
            return None

    def _resize(self, scale: Scale, replicas: int) -> None:
        if replicas == scale.replicas:
            return
        try:
            self._stateful_set.resize(replicas, scale)
        except Unavailable as error:
            log.warning("the number of pods stays as it is", error=str(error))
        else:
            log.info("pods", wanted=replicas, before=scale.replicas)

    def _number(self, worker: str) -> int:
        return self.number_of(worker) or 0

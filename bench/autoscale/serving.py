"""Policies of serving frameworks: Knative's pod autoscaler, Ray Serve, and backlog per instance.

Knative (https://knative.dev/docs/serving/autoscaling/): requests that wait or run over 0.7 of a
container's concurrency, averaged over 60 s; over 6 s in panic, which begins where that needs twice
the pods that are ready, lasts 60 s and never shrinks; every 2 s; at most halved at a time.
Ray Serve (https://docs.ray.io/en/latest/serve/advanced-guides/advanced-autoscaling.html): ongoing
requests averaged over 30 s, over a target for each replica; grows after 30 s, shrinks after 600 s
of the same wish. Its target of 2 is for models that serve one request at a time; here it
is Knative's.
SQS (https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-using-sqs-queue.html): messages that
wait for each instance, target: the latency that is accepted over the time of a message. Target
tracking takes a sample a minute, grows after 3 of them above, shrinks after 15 below 0.9 of it.
"""

from __future__ import annotations

from collections import deque
from math import ceil

from headrace.planning.view import View

KNATIVE_SHARE = 0.7


class Knative:
    every_s = 2.0
    is_ours = False

    def __init__(self, slots: int) -> None:
        self._target = KNATIVE_SHARE * slots
        self._seen: deque[tuple[float, int]] = deque()
        self._panic_until = -1.0
        self._panic_size = 0

    def size(self, view: View) -> int:
        self._seen.append((view.now, view.waiting + view.running))
        while self._seen[0][0] <= view.now - 60:
            self._seen.popleft()
        ready = max(1, view.ready)
        stable, panic = self._wanted(view.now, 60), self._wanted(view.now, 6)
        if panic >= 2 * ready:
            self._panic_until = view.now + 60
        if view.now < self._panic_until:
            self._panic_size = max(self._panic_size, panic, view.desired)
            return self._panic_size
        self._panic_size = 0
        return max(stable, ready // 2, 1)

    def _wanted(self, now: float, seconds: float) -> int:
        seen = [jobs for moment, jobs in self._seen if moment > now - seconds]
        return ceil(sum(seen) / len(seen) / self._target)


class RayServe:
    every_s = 2.0
    is_ours = False

    def __init__(self, target: float) -> None:
        self._target = target
        self._seen: deque[tuple[float, int]] = deque()
        self._up_since: float | None = None
        self._down_since: float | None = None

    def size(self, view: View) -> int:
        self._seen.append((view.now, view.waiting + view.running))
        while self._seen[0][0] <= view.now - 30:
            self._seen.popleft()
        ongoing = sum(jobs for _moment, jobs in self._seen) / len(self._seen)
        wanted = max(1, ceil(ongoing / self._target))
        self._up_since = _since(self._up_since, view.now, wanted > view.desired)
        self._down_since = _since(self._down_since, view.now, wanted < view.desired)
        up = self._up_since is not None and view.now - self._up_since >= 30
        down = self._down_since is not None and view.now - self._down_since >= 600
        return wanted if up or down else view.desired


class SqsBacklog:
    every_s = 60.0
    is_ours = False

    def __init__(self, target: float) -> None:
        """`target`: waiting jobs for each worker."""
        self._target = target
        self._above = self._below = 0

    def size(self, view: View) -> int:
        backlog = view.waiting / max(1, view.ready)
        self._above = self._above + 1 if backlog > self._target else 0
        self._below = self._below + 1 if backlog < 0.9 * self._target else 0
        if self._above >= 3:
            return ceil(view.ready * backlog / self._target)
        if self._below >= 15:
            return max(1, ceil(view.ready * backlog / self._target))
        return view.desired


def _since(since: float | None, now: float, holds: bool) -> float | None:
    if not holds:
        return None
    return now if since is None else since

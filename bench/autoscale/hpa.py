"""Policies that act through the Kubernetes HorizontalPodAutoscaler, with its documented defaults.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/: every 15 s, tolerance
0.1, growth by the larger of 4 pods and 100 % per 15 s, shrinking to the most that was
recommended within 300 s.
https://keda.sh/docs/latest/scalers/redis-lists/: `listLength` 5 per worker, read by the HPA.
"""

from __future__ import annotations

from math import ceil

from headrace.planning.view import View

TOLERANCE = 0.1


class Hpa:
    """What all of them share: the behaviour around a recommendation."""

    every_s = 15.0
    is_ours = False

    def __init__(self, stabilisation_s: float = 300.0) -> None:
        self._stabilisation_s = stabilisation_s
        self._recommended: list[tuple[float, int]] = []

    def size(self, view: View) -> int:
        if not self._recommended:
            self._recommended.append((view.now, view.desired))
        wanted = min(self.recommend(view), max(2 * view.desired, view.desired + 4))
        since = view.now - self._stabilisation_s
        self._recommended = [each for each in self._recommended if each[0] > since]
        self._recommended.append((view.now, wanted))
        if wanted >= view.desired:
            return wanted
        return min(view.desired, max(size for _moment, size in self._recommended))

    def recommend(self, view: View) -> int:
        raise NotImplementedError


class KedaList(Hpa):
    """Jobs that wait, over `length`; those that run are not in the list."""

    def __init__(self, length: float = 5.0, stabilisation_s: float = 300.0) -> None:
        super().__init__(stabilisation_s)
        self._length = length

    def recommend(self, view: View) -> int:
        ratio = view.waiting / (self._length * view.desired)
        if abs(ratio - 1) <= TOLERANCE:
            return view.desired
        return max(1, ceil(view.waiting / self._length))


class HpaRunning(Hpa):
    """Running requests of a ready worker, against `target`; missing pods count as the HPA does.

    Where it would grow, workers that are not ready count as idle; else as on target.
    """

    def __init__(self, target: float) -> None:
        super().__init__()
        self._target = target

    def recommend(self, view: View) -> int:
        ready = max(1, view.ready)
        missing = max(0, view.desired - ready)
        ratio = view.running / (ready * self._target)
        if abs(ratio - 1) <= TOLERANCE:
            return view.desired
        filled = view.running + (0 if ratio > 1 else missing * self._target)
        again = filled / ((ready + missing) * self._target)
        if abs(again - 1) <= TOLERANCE or (again > 1) != (ratio > 1):
            return view.desired
        return max(1, ceil(again * (ready + missing)))

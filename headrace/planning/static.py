"""A number of workers that stays."""

from __future__ import annotations

from headrace.planning.view import View


class Static:
    every_s = 60.0
    is_ours = False

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def size(self, view: View) -> int:
        return self._workers

"""Submissions that come at the same time go to Redis together."""

from __future__ import annotations

import time
from threading import Event, Lock

from api import rate_limits
from headrace.core.errors import Unavailable
from headrace.core.jobs.failpoints import Failpoint, make_failpoints
from headrace.core.jobs.handover import Submitted
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.submission import MOST_AT_ONCE, Answer, Call, Submission

MOST = MOST_AT_ONCE
"""Submissions of one bundle."""


class Bundle:
    """`error` stands for the answers until they are there."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: list[Answer] = []
        self.error: Exception = Unavailable("the submission was given up")
        self.is_back = Event()

    def answer(self, number: int) -> Answer:
        if not self.answers:
            raise self.error
        return self.answers[number]


class Bundles:
    """Sends what was gathered while the other requests of this process had their turn.

    A round trip costs its sender more than what it carries. Nobody waits for more to come.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._failpoints = make_failpoints(queue.settings.failpoints)
        self._gathering = Lock()
        self._open = Bundle()

    def send(self, submission: Submission) -> list[Submitted]:
        """Raises as `JobQueue.send` does."""
        bundle, number = self._put(self._queue.prepare(submission))
        if number == 0:
            time.sleep(0)  # those who are ready now come along
            self._close(bundle)
            self._carry(bundle)
        bundle.is_back.wait()
        answer = bundle.answer(number)
        rate_limits.note(answer.usages)
        return answer.submitted()

    def _put(self, call: Call) -> tuple[Bundle, int]:
        with self._gathering:
            if len(self._open.calls) == MOST:
                self._open = Bundle()
            self._open.calls.append(call)
            return self._open, len(self._open.calls) - 1

    def _close(self, bundle: Bundle) -> None:
        with self._gathering:
            if self._open is bundle:
                self._open = Bundle()

    def _carry(self, bundle: Bundle) -> None:
        try:
            self._failpoints.hit(Failpoint.BEFORE_SUBMIT)
            bundle.answers = self._queue.send_many(bundle.calls)
            self._failpoints.hit(Failpoint.AFTER_SUBMIT)
        except Exception as error:
            bundle.error = error
        finally:
            bundle.is_back.set()

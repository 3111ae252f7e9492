"""One load, sent and measured: a warm-up, the window, and the wait for what is under way."""

from __future__ import annotations

import asyncio
import math
import time

from headrace.loadtest.api import Api, ask
from headrace.loadtest.in_flight import InFlight
from headrace.loadtest.lag import Ticker
from headrace.loadtest.loads import ClosedLoad, Limits, Load, OpenLoad, TraceLoad
from headrace.loadtest.measurement import Measurement
from headrace.loadtest.prompts import Prompt, Prompts
from headrace.loadtest.record import Record
from headrace.loadtest.window import Window

PAUSE_S = 0.05
"""Of a user whose request failed, who might otherwise do nothing but fail."""

MOST_LATE_S = 5.0
"""A schedule that runs so far ahead of its sender is more than this machine can send."""


class Level:
    """`done` and `errors` count while it runs, `cut_off` conversations that an error ended."""

    def __init__(
        self, load: Load, limits: Limits, api: Api, prompts: Prompts, timeout_s: float
    ) -> None:
        self.load, self.limits = load, limits
        self.records: list[Record] = []
        self.done = self.errors = self.cut_off = 0
        self._api, self._prompts, self._timeout_s = api, prompts, timeout_s
        self._in_flight, self._thinking = InFlight(), InFlight()
        self._ticker = Ticker()
        self._now = asyncio.get_running_loop().time
        self._window = Window(self._now(), limits)
        self._is_interrupted = self._ran_out = False
        self._ended = 0.0
        self._cpu_s = time.process_time()

    async def run(self) -> None:
        """Returns when all that was sent is answered; cancelled, it keeps what there is."""
        began = self._now()
        self._window = Window(began, self.limits)
        try:
            async with self._ticker.ticking(), asyncio.TaskGroup() as group:
                await self._send(group, began)
        except asyncio.CancelledError:
            self._is_interrupted = True
            raise
        finally:
            self._ended, self._cpu_s = self._now(), time.process_time() - self._cpu_s

    @property
    def elapsed_s(self) -> float:
        """Since the warm-up ended; negative before."""
        return self._now() - self._window.start

    async def _send(self, group: asyncio.TaskGroup, began: float) -> None:
        if isinstance(self.load, ClosedLoad):
            for user in range(self.load.concurrency):
                group.create_task(self._use(self.load, began + self.load.joins_s(user)))
        else:
            await self._follow(self.load, began, group)

    async def _use(self, load: ClosedLoad, joins: float) -> None:
        """One user of a closed loop, conversation after conversation."""
        await asyncio.sleep(joins - self._now())
        following: Prompt | None = None
        prompt = self._prompts.next(load.prompt_tokens, load.max_tokens)
        while (record := self._record(self._now(), prompt)) is not None:
            following = await self._converse(prompt, record)
            if record.error is not None:
                await asyncio.sleep(PAUSE_S)
            prompt = following or self._prompts.next(load.prompt_tokens, load.max_tokens)

    async def _follow(
        self, load: OpenLoad | TraceLoad, began: float, group: asyncio.TaskGroup
    ) -> None:
        """Sends on schedule, never waiting for an answer; gives up where it cannot keep up."""
        for arrival in load.schedule():
            due = began + arrival.offset_s
            prompt = self._prompts.next(arrival.prompt_tokens, arrival.max_tokens, arrival.blocks)
            if (record := self._record(due, prompt)) is None:
                return
            await asyncio.sleep(due - self._now())
            group.create_task(self._follow_up(prompt, record))
            if self._now() - due > MOST_LATE_S:
                break
        self._ran_out = True

    async def _follow_up(self, prompt: Prompt, record: Record) -> None:
        """A whole conversation of an open loop, as long as its window is open."""
        following = await self._converse(prompt, record)
        while following and (later := self._record(self._now(), following)) is not None:
            following = await self._converse(following, later)

    def _record(self, scheduled: float, prompt: Prompt) -> Record | None:
        """None when no more is to be sent."""
        if (measured := self._window.measures(scheduled)) is None:
            return None
        return Record(scheduled=scheduled, measured=measured, turn=prompt.turn)

    async def _converse(self, prompt: Prompt, record: Record) -> Prompt | None:
        """Sends one turn and thinks; the next one, None where the conversation has ended."""
        answer = await self._ask(prompt, record)
        if record.error is not None:
            self.cut_off += bool(prompt.later)
            return None
        if (following := prompt.then(answer)) is not None and prompt.think_s:
            self._thinking.begin(self._now())
            await asyncio.sleep(prompt.think_s)
            self._thinking.end(self._now())
        return following

    async def _ask(self, prompt: Prompt, record: Record) -> str:
        self.records.append(record)
        self._in_flight.begin(record.scheduled)
        answer = await ask(self._api, prompt, record, self._timeout_s)
        self._in_flight.end(self._now())
        self.done += 1
        self.errors += record.error is not None
        return answer

    def measurement(self) -> Measurement:
        sent = [record.scheduled for record in self.records if record.measured]
        last_sent = max(sent, default=self._window.start)
        is_timed = math.isfinite(self._window.closes) and not self._ran_out
        end = self._window.closes if is_timed else self._end(last_sent)
        return Measurement(
            load=self.load,
            start=self._window.start,
            end=max(self._window.start, min(end, self._ended) if self._is_interrupted else end),
            last_sent=last_sent,
            records=self.records,
            in_flight=self._in_flight,
            thinking=self._thinking,
            ticks_late_s=self._ticker.late_s,
            cpu_s=self._cpu_s,
            is_interrupted=self._is_interrupted,
        )

    def _end(self, last_sent: float) -> float:
        """Of a window that no time closed: the last answer, or the last of a schedule.

        Open loops must not wait: with all answers inside the window, no overload would show.
        """
        if not isinstance(self.load, ClosedLoad):
            return last_sent
        done = [record.done for record in self.records if record.measured and record.done]
        return max(done, default=last_sent)

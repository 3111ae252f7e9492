"""The load test: one level after another, each judged before the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from headrace.core.errors import Unavailable
from headrace.loadtest.api import Api, ApiName
from headrace.loadtest.calibration import Calibration
from headrace.loadtest.fleet_watch import NOT_SHOWN, FleetWatch, Watched
from headrace.loadtest.jobs_api import JobsApi
from headrace.loadtest.level import Level
from headrace.loadtest.loads import Load
from headrace.loadtest.plan import Plan
from headrace.loadtest.progress import Progress
from headrace.loadtest.prompts import FilePrompts, Prompts, WordPrompts
from headrace.loadtest.result import Result, judge
from headrace.loadtest.server_counts import Counts, read_counts, read_increase, unsure
from headrace.loadtest.server_times import add_server_times
from headrace.loadtest.stream_api import StreamApi
from headrace.loadtest.sync_api import SyncApi
from headrace.loadtest.target import Target, open_target

APIS: Mapping[ApiName, type[StreamApi | SyncApi | JobsApi]] = {
    "stream": StreamApi,
    "sync": SyncApi,
    "jobs": JobsApi,
}


class LoadTest:
    """`results` holds what has been measured so far, also after an interruption."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self.plan = plan
        self.model = plan.model
        self.started_at = datetime.now(UTC)
        self.results: list[Result] = []
        self._progress = progress
        self._notes: Sequence[str] = ()
        self._began = 0.0
        self._unsure = 0

    async def run(self) -> Sequence[Result]:
        """Raises `Unavailable` where nothing answers, or nothing any more.

        Then, and when it is cancelled, it keeps the results so far.
        """
        async with open_target(self.plan.address, self.plan.api_key) as target:
            self.model = self.model or await target.first_model()
            api = APIS[self.plan.api](target, self.model, self.plan.temperature)
            prompts, watch = await self._prompts(api), FleetWatch(target)
            self._began = asyncio.get_running_loop().time()
            for run, load in self.plan.order:
                await self._measure(run, load, target, api, prompts, watch)
                if not await target.answers():
                    raise Unavailable(f"{target.root} answers no more since level {load.label}")
        return self.results

    async def _measure(
        self,
        run: int,
        load: Load,
        target: Target,
        api: Api,
        prompts: Prompts,
        watch: FleetWatch,
    ) -> None:
        before = await read_counts(target, api.route)
        level = Level(load, self.plan.limits, api, prompts, self.plan.timeout_s)
        increase: Counts | None = None
        notes: list[str] = []
        watched = Watched()
        try:
            async with watch.watching() as watched:
                with self._progress.showing(level):
                    await level.run()
            notes += [] if watch.is_shown else [NOT_SHOWN]
            increase = await read_increase(target, api.route, before, len(level.records))
            measured = [record for record in level.records if record.measured]
            notes += await add_server_times(target, measured)
            notes += [f"{level.cut_off} conversations ended with an error"] if level.cut_off else []
        finally:  # a level that was run is reported, even if nothing more is known about it
            self._add(level, run, increase, watched, [*prompts.notes, *notes])

    def _add(
        self,
        level: Level,
        run: int,
        increase: Counts | None,
        watched: Watched,
        notes: Sequence[str],
    ) -> None:
        told = [*self._notes, *notes]
        measurement = level.measurement()
        self._unsure += unsure(measurement.records)
        judged = judge(
            measurement, self.plan.service_levels, self.plan.seed, increase, self._unsure, told
        )
        began_s = measurement.start - self._began
        result = replace(judged, run=run, watched=watched, began_s=began_s)
        self.results.append(result)
        self._progress.finished(result)

    async def _prompts(self, api: Api) -> Prompts:
        """The first requests are sent in any case: they tell whether the server answers at all."""
        plan = self.plan
        calibration = Calibration(api, plan.seed, plan.timeout_s)
        if plan.dataset is not None:
            prompts = await plan.dataset.prompts(calibration, plan.seed)
        else:
            length = await calibration.words()
            if plan.prompts_file is not None:
                return FilePrompts(plan.prompts_file)
            prompts = WordPrompts(length, plan.seed, plan.repeat_prompts)
        self._notes = calibration.notes
        return prompts

"""Renders the fleet."""

from __future__ import annotations

from dataclasses import asdict

from api.answers import FleetView, FleetWorker
from headrace.core.fleet import Fleet
from headrace.core.roster import WorkerState


def fleet_view(fleet: Fleet, model: str) -> FleetView:
    queue = fleet.queue
    return {
        "object": "fleet",
        "at": queue.at,
        "model": model,
        "queue": {
            "waiting": queue.waiting,
            "running": queue.running,
            "set_aside": dict(queue.set_aside),
            "oldest_wait_s": queue.oldest_s,
        },
        "workers": [_worker(worker) for worker in fleet.workers],
        "starting": fleet.starting,
        "desired": fleet.desired,
        "cold_starts_s": list(fleet.cold_starts_s),
        "steps": asdict(fleet.steps),
    }


def _worker(worker: WorkerState) -> FleetWorker:
    return {
        "name": worker.name,
        "activity": worker.activity,
        "engine": worker.engine,
        "age_s": worker.age_s,
        "slots": worker.stats.slots,
        "running": worker.stats.running,
    }

"""One seed of some faults, with leases of 1 s; `make chaos` runs all of them with many."""

from __future__ import annotations

import pytest

from tests.chaos.fault import Fault
from tests.chaos.faults.engine_error import EngineErrors
from tests.chaos.faults.poison import Poison
from tests.chaos.faults.rolling_restart import RollingRestart
from tests.chaos.faults.worker_killed import WorkerKilled
from tests.chaos.faults.worker_stopped import WorkerStopped
from tests.chaos.orders import ONE_QUEUE, THREE_QUEUES
from tests.chaos.row import Row
from tests.chaos.run import run_fault

# Workers are restarted from a thread, as nobody else has time for it.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@pytest.mark.parametrize(
    "fault",
    [
        WorkerKilled(supervised=False, priorities=THREE_QUEUES),
        WorkerKilled(supervised=True, priorities=ONE_QUEUE),
        RollingRestart(),
        WorkerStopped(),
        Poison(),
        EngineErrors(),
    ],
    ids=lambda fault: fault.name,
)
def test_the_promise_is_kept(fault: Fault) -> None:
    row = Row.of(fault, [run_fault(fault, seed=1)])
    assert row.held, row.broken
    assert row.jobs

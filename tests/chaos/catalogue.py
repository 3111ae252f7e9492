"""Every fault of the matrix, in its order."""

from __future__ import annotations

from collections.abc import Collection

from tests.chaos.fault import Fault
from tests.chaos.faults.api_killed import ApiKilled
from tests.chaos.faults.engine_error import EngineErrors
from tests.chaos.faults.engine_killed import EngineKilled
from tests.chaos.faults.engine_stopped import EngineStopped
from tests.chaos.faults.hostile_requests import HostileRequests
from tests.chaos.faults.log_target_gone import LogTargetGone
from tests.chaos.faults.memory_full import MemoryFull
from tests.chaos.faults.network_cut import NetworkCut
from tests.chaos.faults.overload import Overload
from tests.chaos.faults.poison import Poison
from tests.chaos.faults.redis_failed_over import RedisFailedOver
from tests.chaos.faults.redis_killed import RedisKilled
from tests.chaos.faults.redis_restarted import RedisRestarted
from tests.chaos.faults.rolling_restart import RollingRestart
from tests.chaos.faults.scaler_killed import ScalerKilled
from tests.chaos.faults.slow_redis import SlowRedis
from tests.chaos.faults.stopped_at_once import StoppedAtOnce
from tests.chaos.faults.temp_cleaned import TempCleaned
from tests.chaos.faults.worker_killed import WorkerKilled
from tests.chaos.faults.worker_stopped import WorkerStopped
from tests.chaos.orders import ONE_QUEUE, THREE_QUEUES


def all_faults() -> list[Fault]:
    return [
        WorkerKilled(supervised=False, priorities=ONE_QUEUE),
        WorkerKilled(supervised=False, priorities=THREE_QUEUES),
        WorkerKilled(supervised=True, priorities=ONE_QUEUE),
        WorkerKilled(supervised=True, priorities=THREE_QUEUES),
        EngineKilled(),
        RollingRestart(),
        WorkerStopped(),
        EngineStopped(in_time=True),
        EngineStopped(in_time=False),
        RedisKilled("always"),
        RedisKilled("everysec"),
        RedisRestarted(),
        NetworkCut(),
        SlowRedis(),
        ApiKilled(),
        Poison(),
        EngineErrors(),
        MemoryFull(),
        ScalerKilled(),
        Overload(),
        RedisFailedOver(),
        LogTargetGone(full=False),
        LogTargetGone(full=True),
        StoppedAtOnce(),
        TempCleaned(),
        HostileRequests(),
    ]


def faults(numbers: Collection[int] = ()) -> list[Fault]:
    """Those with these numbers of the matrix; all for none."""
    return [fault for fault in all_faults() if not numbers or fault.number in numbers]

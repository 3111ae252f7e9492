from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from headrace.cli.child import Child
from headrace.cli.crew import Crew
from headrace.cli.supervisor import LAST_S, Children, Supervisor
from headrace.cli.wanted import FixedNumber
from headrace.core.errors import CANNOT_EVER, ModelError, Unavailable
from tests.unit.cli.fakes import FakeClock, FakeSpawner

GRACE_S = 10.0


class Deployment:
    """A supervisor over fakes; the model is prepared in one second unless told otherwise."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.spawner = FakeSpawner()
        self.announced: list[float] = []
        self.redis_ready: Callable[[], bool] = lambda: True
        self.serving: Callable[[], bool] = lambda: True
        self.children = children = Children(
            redis=[self._child("redis")],
            model=self._child("model"),
            workers=Crew(FixedNumber(2), lambda n: self._child(f"worker-{n}"), self.clock),
            api=self._child("api"),
            monitor=self._child("monitor"),
        )
        self.supervisor = Supervisor(
            children,
            is_redis_ready=lambda: self.redis_ready(),
            is_serving=lambda: self.serving(),
            announce=lambda: self.announced.append(self.clock.now()),
            beat=lambda: None,
            grace_s=GRACE_S,
            clock=self.clock,
        )
        self.model_exit_code = 0
        self.clock.after(1, self._finish_model)

    def _child(self, name: str) -> Child:
        return Child(name, lambda run: [name], spawn=self.spawner, clock=self.clock)

    def _finish_model(self) -> None:
        self.spawner.latest("model").end(self.model_exit_code)

    def stop_after(self, seconds: float) -> None:
        self.clock.after(seconds, self.supervisor.request_stop)

    @property
    def journal(self) -> list[str]:
        return self.spawner.journal


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def test_the_model_is_prepared_after_redis_and_before_workers_and_api(
    deployment: Deployment,
) -> None:
    deployment.stop_after(5)
    deployment.supervisor.run()
    assert deployment.journal[:6] == [
        "start redis",
        "start model",
        "end model",
        "start worker-1",
        "start worker-2",
        "start api",
    ]


def test_parts_end_in_order_api_workers_monitor_redis(deployment: Deployment) -> None:
    deployment.stop_after(5)
    deployment.supervisor.run()
    assert deployment.journal[7:] == [
        "TERM api",
        "end api",
        "TERM worker-1",
        "end worker-1",
        "TERM worker-2",
        "end worker-2",
        "TERM monitor",
        "end monitor",
        "TERM redis",
        "end redis",
    ]


def test_ready_is_announced_once(deployment: Deployment) -> None:
    asked = iter([False, False, True])
    deployment.serving = lambda: next(asked)
    deployment.stop_after(30)
    deployment.supervisor.run()
    assert len(deployment.announced) == 1


def test_a_part_that_crashes_is_started_again(deployment: Deployment) -> None:
    deployment.clock.after(3, lambda: deployment.spawner.latest("api").end(1))
    deployment.stop_after(10)
    deployment.supervisor.run()
    assert deployment.journal.count("start api") == 2
    assert deployment.journal.count("start worker-1") == 1


def test_redis_is_watched_while_the_model_is_prepared(deployment: Deployment) -> None:
    deployment.clock.after(0.3, lambda: deployment.spawner.latest("redis").end(-9))
    deployment.stop_after(5)
    deployment.supervisor.run()
    assert deployment.journal.count("start redis") == 2


def test_a_part_that_does_not_end_in_time_is_killed_and_named(deployment: Deployment) -> None:
    deployment.spawner.obedience["worker-2"] = None
    deployment.stop_after(5)
    with capture_logs() as logs:
        deployment.supervisor.run()
    assert "KILL worker-2" in deployment.journal
    assert deployment.journal.index("KILL worker-2") < deployment.journal.index("TERM redis")
    assert deployment.clock.now() >= 1000 + 5 + GRACE_S
    assert [log["child"] for log in logs if "killed" in log["event"]] == ["worker-2"]


def test_a_second_request_makes_workers_give_their_jobs_back(deployment: Deployment) -> None:
    deployment.spawner.obedience["worker-1"] = 2
    deployment.stop_after(5)
    deployment.stop_after(7)
    deployment.supervisor.run()
    assert deployment.journal.count("TERM worker-1") == 2
    assert "KILL worker-1" not in deployment.journal
    assert deployment.clock.now() < 1000 + 5 + GRACE_S


def test_a_worker_that_missed_the_second_request_is_asked_again(deployment: Deployment) -> None:
    deployment.spawner.obedience["worker-1"] = 4
    deployment.stop_after(5)
    deployment.stop_after(6)
    deployment.supervisor.run()
    assert deployment.journal.count("TERM worker-1") == 4
    assert "KILL worker-1" not in deployment.journal


def test_a_second_request_does_not_wait_for_connections_of_the_api(
    deployment: Deployment,
) -> None:
    deployment.spawner.obedience["api"] = None
    deployment.stop_after(5)
    deployment.stop_after(6)
    deployment.supervisor.run()
    assert "KILL api" in deployment.journal
    assert deployment.clock.now() < 1000 + 5 + GRACE_S


def test_redis_is_never_hurried(deployment: Deployment) -> None:
    deployment.spawner.obedience["redis"] = None
    deployment.clock.after(14, lambda: deployment.spawner.latest("redis").end(0))
    deployment.stop_after(5)
    deployment.stop_after(6)
    deployment.supervisor.run()
    assert deployment.journal.count("TERM redis") == 1
    assert "KILL redis" not in deployment.journal


def test_a_stop_during_preparation_starts_nothing_more(deployment: Deployment) -> None:
    deployment.stop_after(0.5)
    deployment.supervisor.run()
    assert deployment.journal == [
        "start redis",
        "start model",
        "TERM model",
        "end model",
        "TERM redis",
        "end redis",
    ]


def test_a_model_that_cannot_be_prepared_ends_everything(deployment: Deployment) -> None:
    deployment.model_exit_code = 1
    with pytest.raises(ModelError, match="exited with code 1"):
        deployment.supervisor.run()
    assert deployment.journal[-2:] == ["TERM redis", "end redis"]
    assert "start api" not in deployment.journal


def test_a_worker_that_can_never_run_ends_everything(deployment: Deployment) -> None:
    deployment.serving = lambda: False
    deployment.clock.after(3, lambda: deployment.spawner.latest("worker-2").end(CANNOT_EVER))
    with capture_logs() as logs, pytest.raises(ModelError, match="worker-2 cannot run this model"):
        deployment.supervisor.run()
    assert deployment.journal.count("start worker-2") == 1
    assert deployment.journal[-2:] == ["TERM redis", "end redis"]
    assert not any("starts_again_in_s" in entry for entry in logs)
    assert deployment.announced == []


def test_a_worker_that_crashes_before_all_serve_is_started_again(deployment: Deployment) -> None:
    deployment.serving = lambda: False
    deployment.clock.after(3, lambda: deployment.spawner.latest("worker-2").end(1))
    deployment.stop_after(10)
    deployment.supervisor.run()
    assert deployment.journal.count("start worker-2") == 2


def test_once_workers_have_served_none_of_them_ends_everything(deployment: Deployment) -> None:
    deployment.clock.after(3, lambda: deployment.spawner.latest("worker-2").end(CANNOT_EVER))
    deployment.stop_after(10)
    deployment.supervisor.run()
    assert deployment.journal.count("start worker-2") == 2
    assert len(deployment.announced) == 1


def test_a_redis_that_gives_up_ends_everything(deployment: Deployment) -> None:
    def give_up() -> bool:
        raise Unavailable("no memory")

    deployment.redis_ready = give_up
    with pytest.raises(Unavailable, match="no memory"):
        deployment.supervisor.run()
    assert deployment.journal == ["start redis", "TERM redis", "end redis"]


def test_a_slow_api_takes_its_time_from_the_workers_and_not_on_top(deployment: Deployment) -> None:
    deployment.spawner.obedience["api"] = None
    deployment.spawner.obedience["worker-1"] = 2
    deployment.stop_after(5)
    deployment.supervisor.run()
    assert "KILL api" in deployment.journal
    assert deployment.journal.count("TERM worker-1") == 2
    assert deployment.clock.now() < 1000 + 5 + GRACE_S + LAST_S


def test_the_scaler_ends_before_the_workers_so_that_it_wants_nothing_meanwhile(
    deployment: Deployment,
) -> None:
    deployment.children.scaler = [deployment._child("scaler")]
    deployment.stop_after(5)
    deployment.supervisor.run()

    assert deployment.journal.index("end scaler") < deployment.journal.index("TERM worker-1")

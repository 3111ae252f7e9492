"""The workers of a Compose project, as the scaler changes them and Docker makes it so."""

from __future__ import annotations

from threading import Event

import pytest
from structlog.testing import capture_logs

from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.errors import Unavailable
from headrace.core.jobs import keys
from headrace.core.leadership import Leadership, Spectator
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from scaler import fleets
from scaler.compose import ComposeFleet
from scaler.compose_crew import LOOK_LASTS_S, ComposeCrew
from scaler.compose_project import ComposeProject
from scaler.fleets import make_fleet
from scaler.reader import Reader
from scaler.readings import Readings, Unknown
from tests.bench import Bench
from tests.fakes import FakeClock, make_request
from tests.unit.scaler.fake_docker import FakeDocker, host, worker

UP = "docker compose --project-name mine up --detach --no-recreate --no-deps --no-build"


def up(size: int) -> str:
    return f"{UP} --scale worker={size} worker"


def end(*numbers: int) -> list[str]:
    hosts = " ".join(map(host, numbers))
    return [f"docker stop -t 45 {hosts}", f"docker rm {hosts}"]


class Project:
    """Containers of which each has a worker, and the scaler that leads."""

    def __init__(
        self,
        redis: Client,
        settings: Settings,
        *numbers: int,
        make: type[Leadership] = Leadership,
    ) -> None:
        self.redis = redis
        self.settings = settings
        self.docker = FakeDocker(*numbers)
        self.clock = FakeClock()
        leadership = make(redis, settings, "scaler-1", lease_s=60)
        leadership.take()
        project = ComposeProject(self.docker, "mine")
        self.crew = ComposeCrew(project, redis, leadership, settings, self.clock)
        self.fleet = ComposeFleet(redis, leadership, self.crew)
        self.roster = Roster(redis, ttl_s=60)
        self.beat(*numbers)
        self.crew.watch()

    def beat(self, *numbers: int) -> None:
        for number in numbers:
            self.roster.beat(WorkerState(worker(number), "ready", 1, "fake", EngineStats()))

    def want(self, size: int) -> list[str]:
        """The commands that follow."""
        assert self.fleet.set_size(size)
        return self.watch()

    def watch(self) -> list[str]:
        self.docker.commands.clear()
        self.crew.watch()
        return self.docker.commands

    def draining(self) -> set[str]:
        return {name.decode() for name in self.redis.smembers(keys.DRAINING)}


@pytest.fixture
def project(redis: Client, settings: Settings) -> Project:
    return Project(redis, settings, 1, 2, 3)


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    return Bench(redis, settings, name=worker(3))


def test_a_worker_is_known_by_its_container(project: Project) -> None:
    assert [project.fleet.number_of(worker(number)) for number in (1, 2, 3)] == [1, 2, 3]
    assert project.fleet.workers() == [worker(1), worker(2), worker(3)]


@pytest.mark.parametrize("name", ["worker-1-a3f9", "by-hand", worker(77), "worker-myhost-a3f9"])
def test_whoever_is_in_no_container_of_the_project_is_none_of_the_fleet(
    project: Project, name: str
) -> None:
    project.roster.beat(WorkerState(name, "ready", 1, "fake", EngineStats()))
    assert project.fleet.number_of(name) is None
    assert name not in project.fleet.workers()


def test_a_larger_fleet_is_started_at_once_and_nobody_is_made_anew(project: Project) -> None:
    assert project.want(5) == [up(5)]
    assert project.watch() == []


def test_the_older_command_of_compose_is_taken_where_there_is_no_plugin(project: Project) -> None:
    project.docker.has_plugin = False
    assert project.want(4) == [up(4).replace("docker compose", "docker-compose")]


def test_idle_workers_that_are_too_many_drain_and_their_containers_end(project: Project) -> None:
    assert project.want(1) == end(2, 3)
    assert project.draining() == {worker(2), worker(3)}

    assert project.watch() == []
    assert project.draining() == set()
    assert not project.redis.exists(keys.DISMISSED, keys.SURPLUS, keys.DEATHS)
    assert project.fleet.workers() == [worker(1)]


def test_a_busy_worker_is_stopped_only_when_it_has_finished(project: Project, bench: Bench) -> None:
    bench.submit(make_request())
    bench.turn(1)
    assert project.want(1) == end(2)
    assert project.want(1) == []

    bench.turn(10)
    assert project.want(1) == end(3)


def test_a_busy_worker_that_drains_is_called_back(project: Project, bench: Bench) -> None:
    bench.submit(make_request())
    bench.turn(1)
    project.want(2)
    assert project.draining() == {worker(3)}

    assert project.want(3) == []
    assert project.draining() == set()
    assert project.docker.states.keys() == {1, 2, 3}


def test_who_was_dismissed_goes_though_it_is_wanted_again_and_another_one_comes(
    project: Project,
) -> None:
    project.fleet.set_size(2)
    DesiredFleet(project.redis, project.settings).dismiss(worker(3))
    assert project.want(3) == end(3)
    assert project.watch() == [up(3)]


def test_who_came_behind_a_dismissed_one_in_the_same_container_stays(project: Project) -> None:
    project.fleet.set_size(2)
    DesiredFleet(project.redis, project.settings).dismiss(worker(3))
    project.roster.announce(worker(3, "ffffff"), age_s=0.0)
    assert project.want(3) == []


def test_a_worker_that_has_not_shown_itself_yet_is_waited_for(project: Project) -> None:
    project.want(4)
    assert project.want(3) == []

    project.roster.announce(worker(4), age_s=0.0)
    assert project.want(3) == end(4)


def test_a_container_that_runs_nothing_is_not_waited_for(project: Project) -> None:
    project.want(4)
    project.docker.states[4] = "exited"
    assert project.want(3) == end(4)


def test_a_number_that_was_removed_leaves_no_gap(redis: Client, settings: Settings) -> None:
    project = Project(redis, settings, 2, 5, 11)
    assert [project.fleet.number_of(worker(number)) for number in (2, 5, 11)] == [1, 2, 3]
    assert project.want(3) == []

    assert project.want(2) == end(11)
    del project.docker.states[2]  # by hand
    assert project.watch() == [up(2)]
    assert project.docker.states.keys() == {5, 6}


def test_a_container_that_was_stopped_is_started_again(project: Project) -> None:
    project.docker.states[2] = "exited"
    assert project.want(3) == [up(3)]


def test_a_container_that_docker_starts_again_and_again_is_left_to_it(project: Project) -> None:
    project.docker.states[2] = "restarting"
    assert project.want(3) == []


def test_workers_that_die_as_they_come_are_counted(project: Project) -> None:
    for start, age_s in (("aaaaaa", 30.0), ("bbbbbb", 20.0), ("cccccc", 10.0)):
        project.roster.announce(worker(3, start), age_s)
    project.watch()

    died = [worker(3, "aaaaaa").encode(), worker(3, "bbbbbb").encode()]
    assert sorted(project.redis.zrange(keys.DEATHS, 0, -1)) == died
    assert project.redis.hkeys(keys.STARTING) == [worker(3, "cccccc").encode()]


def test_workers_of_other_projects_are_left_alone(project: Project) -> None:
    for start, age_s in (("aaaaaa", 30.0), ("bbbbbb", 20.0)):
        project.roster.announce(worker(77, start), age_s)
    assert project.want(1) == end(2, 3)
    assert project.redis.hlen(keys.STARTING) == 2
    assert not project.redis.exists(keys.DEATHS)


def test_before_anybody_has_said_a_number_nothing_happens(project: Project) -> None:
    assert project.watch() == []


def test_whoever_does_not_lead_leaves_the_containers_alone(
    project: Project, redis: Client, settings: Settings
) -> None:
    project.fleet.set_size(5)
    redis.hset(keys.SCALER, "holder", "scaler-2")
    assert project.watch() == []

    redis.hset(keys.SCALER, mapping={"holder": "scaler-1", "until": 1})
    assert project.watch() == []


def test_a_spectator_leaves_the_containers_alone(redis: Client, settings: Settings) -> None:
    project = Project(redis, settings, 1, 2, 3, make=Spectator)
    redis.hset(keys.FLEET, "size", 5)
    assert project.want(5) == []
    assert project.fleet.number_of(worker(3)) == 3


# -- Docker is away ------------------------------------------------------------------------------


def test_who_is_there_is_known_for_a_while_without_docker(project: Project) -> None:
    project.docker.trouble = "took longer than 60 s"
    with pytest.raises(Unavailable, match="longer"):
        project.watch()
    assert project.fleet.workers() == [worker(1), worker(2), worker(3)]

    project.clock.sleep(LOOK_LASTS_S + 1)
    with pytest.raises(Unavailable, match="Docker does not say"):
        project.fleet.workers()


def test_what_failed_is_tried_again(project: Project) -> None:
    project.fleet.set_size(4)
    project.docker.trouble = "is the docker daemon running?"
    with pytest.raises(Unavailable):
        project.watch()

    project.docker.trouble = ""
    assert project.watch() == [up(4)]


def test_a_project_that_is_down_is_not_started(project: Project) -> None:
    project.fleet.set_size(4)
    project.docker.is_down = True
    with pytest.raises(Unavailable, match="mine has no containers"):
        project.watch()
    assert project.docker.commands == []


def test_a_fleet_that_nobody_can_see_makes_a_reading_unknown(
    project: Project, redis: Client, bench: Bench
) -> None:
    reader = Reader(redis, 6.0, FakeClock(), project.fleet.number_of)
    reading = reader.read()
    assert isinstance(reading, Readings)
    assert [member.number for member in reading.members] == [1, 2, 3]

    project.clock.sleep(LOOK_LASTS_S + 1)
    reading = reader.read()
    assert isinstance(reading, Unknown)
    assert "Docker" in reading.reason


def test_it_goes_on_behind_what_failed(project: Project) -> None:
    class Stopped(Event):
        def wait(self, timeout: float | None = None) -> bool:
            if not project.docker.trouble:
                self.set()
            project.docker.trouble = ""
            return self.is_set()

    project.docker.trouble = "is the docker daemon running?"
    project.fleet.set_size(4)
    with capture_logs() as logs:
        project.crew.run(Stopped())

    assert project.docker.commands == [up(4)]
    assert [line["log_level"] for line in logs] == ["warning", "info"]
    assert logs[0]["error"] == "is the docker daemon running?"


def test_the_settings_name_the_fleet(
    redis: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    monkeypatch.setattr(fleets.ComposeCrew, "start", lambda crew: started.append(crew))
    leadership = Leadership(redis, settings, "scaler-1", lease_s=60)
    fleet = make_fleet(settings.model_copy(update={"scaler_fleet": "compose"}), redis, leadership)
    assert isinstance(fleet, ComposeFleet)
    assert len(started) == 1
    assert not isinstance(make_fleet(settings, redis, leadership), ComposeFleet)

"""The workers of a StatefulSet, as the scaler changes it: the real client, a fake API server."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from kubernetes.config import incluster_config
from structlog.testing import capture_logs

from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.errors import SettingsError
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.leadership import Leadership, Spectator
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats, Room
from scaler.fleet import Fleet
from scaler.fleets import make_fleet
from scaler.kubernetes import KubernetesFleet
from scaler.mind import stale_s
from scaler.stateful_set import find_stateful_set
from tests.fakes import make_request
from tests.unit.core.jobs.steps import succeed
from tests.unit.scaler.fake_api_server import (
    PATH,
    Call,
    FakeApiServer,
    fake_api_server,
    write_kubeconfig,
)

ROOT = Path(__file__).parents[3]


class Pods:
    """Workers as they show themselves in Redis; each has a name of its own and an ordinal."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._redis = redis
        self._queue = JobQueue(redis, settings)
        self._roster = Roster(redis, ttl_s=60)

    def beat(self, *names: str) -> None:
        for name in names:
            self._roster.beat(WorkerState(name, "ready", 1, "fake", EngineStats()))

    def start(self, name: str) -> None:
        self._roster.announce(name, age_s=0.0)

    def end(self, name: str) -> None:
        self._roster.leave(name)

    @contextmanager
    def busy(self, name: str) -> Iterator[None]:
        self._queue.submit(make_request(f"job-of-{name}"))
        (claim,) = self._queue.claim(name, Room(slots=1, tokens=1000)).claims
        yield
        succeed(self._queue, claim)

    def draining(self) -> set[str]:
        return {name.decode() for name in self._redis.smembers(keys.DRAINING)}


def worker(ordinal: int, life: str = "a") -> str:
    return f"worker-headrace-worker-{ordinal}-{life}"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"scaler_fleet": "kubernetes", "scaler_tick_s": 0.5})


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApiServer]:
    with fake_api_server(replicas=3) as server:
        write_kubeconfig(tmp_path / "kubeconfig", server.server_port)
        use_kubeconfig(monkeypatch, tmp_path / "kubeconfig")
        yield server


def use_kubeconfig(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))


@pytest.fixture
def leadership(redis: Client, settings: Settings) -> Leadership:
    leadership = Leadership(redis, settings, "scaler-1", lease_s=60)
    leadership.take()
    return leadership


@pytest.fixture
def fleet(
    cluster: FakeApiServer, redis: Client, settings: Settings, leadership: Leadership
) -> Fleet:
    return make_fleet(settings, redis, leadership)


@pytest.fixture
def pods(redis: Client, settings: Settings) -> Pods:
    """Three, as many as the StatefulSet has."""
    pods = Pods(redis, settings)
    pods.beat(worker(2), worker(0), worker(1))
    return pods


# Who is who


def test_a_pod_has_the_number_behind_its_ordinal(fleet: Fleet) -> None:
    assert isinstance(fleet, KubernetesFleet)
    assert fleet.number_of("worker-headrace-worker-0-a3f9") == 1
    assert fleet.number_of("worker-headrace-worker-11-a3f9") == 12


@pytest.mark.parametrize("name", ["worker-3-a3f9", "worker-other-0-a3f9", "by-hand"])
def test_who_is_no_pod_of_the_stateful_set_is_none_of_the_fleet(fleet: Fleet, name: str) -> None:
    assert fleet.number_of(name) is None


def test_the_highest_ordinal_is_the_first_to_go_also_while_it_starts(
    fleet: Fleet, pods: Pods
) -> None:
    pods.beat("by-hand")
    pods.start(worker(10))
    assert fleet.workers() == [worker(0), worker(1), worker(2), worker(10)]


# More


def test_more_are_asked_for_at_once_with_what_the_api_server_understands(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, redis: Client
) -> None:
    assert fleet.set_size(5)
    body = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 5}}
    assert cluster.calls == [
        Call("GET", PATH, None, None),
        Call("PATCH", PATH, "application/strategic-merge-patch+json", body),
    ]
    assert cluster.replicas == 5
    assert redis.hget(keys.FLEET, "size") == b"5"


def test_the_role_of_the_manifests_allows_these_calls_and_no_others(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer
) -> None:
    fleet.set_size(5)
    manifests = yaml.safe_load_all((ROOT / "deploy/kubernetes/scaler.yaml").read_text())
    (role,) = (each for each in manifests if each["kind"] == "Role")
    (rule,) = role["rules"]
    (group,), (resource,), (name,) = rule["apiGroups"], rule["resources"], rule["resourceNames"]
    kind, subresource = resource.split("/")
    namespace = role["metadata"]["namespace"]

    path = f"/apis/{group}/v1/namespaces/{namespace}/{kind}/{name}/{subresource}"
    assert {call.path for call in cluster.calls} == {path}
    assert {call.method.lower() for call in cluster.calls} == set(rule["verbs"])


def test_a_fleet_that_is_as_wanted_is_only_looked_at(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer
) -> None:
    fleet.set_size(3)
    fleet.set_size(3)
    assert [call.method for call in cluster.calls] == ["GET", "GET"]


def test_a_fleet_of_none_can_grow_again(fleet: Fleet, cluster: FakeApiServer) -> None:
    cluster.replicas = 0
    fleet.set_size(1)
    assert cluster.patches == [1]


def test_what_somebody_else_made_of_the_number_is_put_right(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer
) -> None:
    cluster.change(1)
    fleet.set_size(3)
    assert cluster.replicas == 3


# Fewer


def test_idle_workers_drain_are_dismissed_and_go(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, redis: Client
) -> None:
    fleet.set_size(1)
    assert pods.draining() == {worker(1), worker(2)}
    assert {name.decode() for name in redis.smembers(keys.DISMISSED)} == {worker(1), worker(2)}
    assert cluster.patches == [1]


def test_a_busy_worker_is_waited_for(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, redis: Client
) -> None:
    with pods.busy(worker(2)):
        fleet.set_size(1)
        assert pods.draining() == {worker(1), worker(2)}
        assert cluster.patches == []
        assert not redis.exists(keys.DISMISSED), "the idle one below can still be called back"
    fleet.set_size(1)
    assert cluster.patches == [1]


def test_a_busy_worker_below_idle_ones_keeps_its_pod(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer
) -> None:
    with pods.busy(worker(1)):
        fleet.set_size(1)
        assert cluster.patches == [2]
    pods.end(worker(2))
    fleet.set_size(1)
    assert cluster.patches == [2, 1]


def test_one_that_starts_anew_in_a_pod_that_is_too_many_is_drained_before_it_goes(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer
) -> None:
    with pods.busy(worker(2)):
        fleet.set_size(2)
    pods.end(worker(2))
    pods.beat(worker(2, "b"))
    with pods.busy(worker(2, "b")):
        fleet.set_size(2)
        assert pods.draining() == {worker(2, "b")}
        assert cluster.patches == []
    fleet.set_size(2)
    assert cluster.patches == [2]


# Called back


def test_who_drains_is_called_back(fleet: Fleet, pods: Pods, cluster: FakeApiServer) -> None:
    with pods.busy(worker(2)):
        fleet.set_size(2)
        fleet.set_size(3)
    assert pods.draining() == set()
    fleet.set_size(3)
    assert cluster.patches == []


def test_who_was_dismissed_goes_before_another_comes_behind_it(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, redis: Client
) -> None:
    cluster.trouble["PATCH"] = 500
    fleet.set_size(2)
    assert cluster.replicas == 3

    del cluster.trouble["PATCH"]
    fleet.set_size(4)
    assert cluster.replicas == 2, "its pod has not gone yet"
    fleet.set_size(4)
    assert cluster.replicas == 2, "its worker has not left yet"

    pods.end(worker(2))
    fleet.set_size(4)
    assert cluster.replicas == 4
    assert redis.smembers(keys.DISMISSED) == redis.smembers(keys.SURPLUS) == set()


def test_a_newcomer_above_a_dismissed_one_is_not_taken_along_while_it_is_busy(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer
) -> None:
    cluster.trouble["PATCH"] = 500
    fleet.set_size(1)
    del cluster.trouble["PATCH"]
    pods.end(worker(2))
    pods.beat(worker(2, "b"))

    with pods.busy(worker(2, "b")):
        fleet.set_size(3)
        assert pods.draining() >= {worker(2, "b")}
        assert cluster.replicas == 3
    fleet.set_size(3)
    assert cluster.replicas == 1


def test_one_that_was_ended_while_it_started_is_forgotten(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, redis: Client
) -> None:
    pods.end(worker(2))
    pods.start(worker(2, "b"))
    fleet.set_size(2)
    assert cluster.replicas == 2
    fleet.set_size(2)
    fleet.set_size(3)

    assert cluster.replicas == 3
    assert fleet.workers() == [worker(0), worker(1)]
    assert pods.draining() == set()
    for key in (keys.DISMISSED, keys.SURPLUS, keys.STARTING, keys.DEATHS):
        assert not redis.exists(key)


def test_one_that_dies_as_it_starts_is_counted_when_the_next_one_starts_in_its_pod(
    fleet: Fleet, pods: Pods, redis: Client
) -> None:
    pods.start(worker(3))
    fleet.set_size(4)
    assert not redis.exists(keys.DEATHS)

    pods.start(worker(3, "b"))
    fleet.set_size(4)
    assert redis.zrange(keys.DEATHS, 0, -1) == [worker(3).encode()]
    assert fleet.workers()[-1] == worker(3, "b")


# Who may not act


def test_a_fleet_that_holds_asks_nobody(fleet: Fleet, pods: Pods, cluster: FakeApiServer) -> None:
    assert fleet.hold()
    assert cluster.calls == []


def test_a_spectator_asks_nobody_and_changes_nothing(
    cluster: FakeApiServer, redis: Client, settings: Settings, pods: Pods
) -> None:
    fleet = make_fleet(settings, redis, Spectator(redis, settings, "", 0.0))
    assert fleet.set_size(1)
    assert cluster.calls == []
    assert not redis.exists(keys.FLEET, keys.DISMISSED, keys.DRAINING)


def test_whoever_does_not_lead_any_more_changes_nothing(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, redis: Client
) -> None:
    redis.hset(keys.SCALER, mapping={"holder": "scaler-2", "fence": 2})
    assert not fleet.set_size(1)
    assert cluster.calls == []
    assert pods.draining() == set()


def test_a_lease_that_is_lost_within_a_tick_stops_the_patch(
    fleet: Fleet,
    pods: Pods,
    cluster: FakeApiServer,
    redis: Client,
    leadership: Leadership,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = leadership.order

    def order_and_lose(size: int | None, surplus: list[str], record: Record | None) -> bool:
        obeyed = order(size, surplus, record)
        redis.hset(keys.SCALER, mapping={"holder": "scaler-2", "fence": 2})
        return obeyed

    monkeypatch.setattr(leadership, "order", order_and_lose)
    fleet.set_size(5)
    assert cluster.patches == []


def test_what_another_scaler_changed_since_the_look_is_not_overwritten(
    fleet: Fleet,
    pods: Pods,
    cluster: FakeApiServer,
    leadership: Leadership,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = leadership.order

    def order_late(size: int | None, surplus: list[str], record: Record | None) -> bool:
        cluster.change(6)
        return order(size, surplus, record)

    monkeypatch.setattr(leadership, "order", order_late)
    with capture_logs() as logs:
        assert fleet.set_size(5)
    assert cluster.replicas == 6
    assert "was changed by somebody else meanwhile (409)" in logs[0]["error"]


# Trouble


@pytest.mark.parametrize(
    ("verb", "status", "told"),
    [
        ("GET", 401, "does not know who we are (401)"),
        ("GET", 403, "a Role must allow the verb `get` on `statefulsets/scale` of the StatefulSet"),
        (
            "GET",
            404,
            "no such thing as the StatefulSet headrace-worker in namespace headrace (404)",
        ),
        ("GET", 500, "the API server answers 500 Internal Server Error to `get`"),
        ("PATCH", 403, "a Role must allow the verb `patch` on `statefulsets/scale`"),
        ("PATCH", 404, "no such thing as the StatefulSet headrace-worker"),
        ("PATCH", 409, "was changed by somebody else meanwhile (409)"),
        ("PATCH", 500, "the API server answers 500 Internal Server Error to `patch`"),
    ],
)
def test_what_the_api_server_refuses_is_told_and_tried_again_at_the_next_tick(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, verb: str, status: int, told: str
) -> None:
    cluster.trouble[verb] = status
    with capture_logs() as logs:
        assert fleet.set_size(5)
    assert [line["log_level"] for line in logs] == ["warning"]
    assert told in logs[0]["error"]
    assert [call.method for call in cluster.calls].count(verb) == 1
    assert cluster.replicas == 3

    cluster.trouble.clear()
    fleet.set_size(5)
    assert cluster.replicas == 5


def test_workers_drain_also_while_the_api_server_is_in_trouble(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, redis: Client
) -> None:
    cluster.trouble["GET"] = 500
    fleet.set_size(1)
    assert pods.draining() == {worker(1), worker(2)}
    assert not redis.exists(keys.DISMISSED), "whoever cannot be removed can be called back"


def test_a_slow_api_server_does_not_cost_the_lease(
    fleet: Fleet, pods: Pods, cluster: FakeApiServer, settings: Settings
) -> None:
    cluster.is_slow = True
    began = time.monotonic()
    with capture_logs() as logs:
        assert fleet.set_size(5)
    assert time.monotonic() - began < stale_s(settings)
    assert "the API server does not answer" in logs[0]["error"]


def test_an_api_server_that_is_away_ends_nothing(
    redis: Client,
    settings: Settings,
    leadership: Leadership,
    pods: Pods,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", port=1)
    use_kubeconfig(monkeypatch, tmp_path / "kubeconfig")
    fleet = make_fleet(settings, redis, leadership)
    with capture_logs() as logs:
        assert fleet.set_size(5)
    assert "the API server does not answer" in logs[0]["error"]


def test_in_a_pod_its_own_account_goes_before_a_kubeconfig(
    cluster: FakeApiServer, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("token", "cert"):
        (tmp_path / name).write_text("of the pod")
        variable = f"SERVICE_{name.upper()}_FILENAME"
        monkeypatch.setattr(incluster_config, variable, str(tmp_path / name))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    configuration = find_stateful_set(settings)._api.api_client.configuration
    assert configuration.host == "https://10.0.0.1:443"
    assert configuration.get_api_key_with_prefix("BearerToken") == "bearer of the pod"


def test_without_a_cluster_it_says_so_at_once(
    redis: Client,
    settings: Settings,
    leadership: Leadership,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_kubeconfig(monkeypatch, tmp_path / "none")
    with pytest.raises(SettingsError, match="HEADRACE_SCALER_FLEET: no cluster is known"):
        make_fleet(settings, redis, leadership)


def test_without_the_client_the_extra_is_named(
    redis: Client, settings: Settings, leadership: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(SettingsError, match=r"pip install 'headrace\[kubernetes\]'"):
        make_fleet(settings, redis, leadership)

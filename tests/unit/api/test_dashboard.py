"""Every page of rq-dashboard, over jobs in every state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from rq import Queue, Retry
from rq.serializers import JSONSerializer

from api.app import create_app
from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.fakes import make_request

REGISTRIES = {
    "queued": "waiting",
    "started": "running",
    "finished": "done",
    "failed": "broken",
    "canceled": "cancelled",
    "scheduled": "postponed",
    "deferred": "dependent",
}


@pytest.fixture
def dashboard(client: FlaskClient, bench: Bench) -> Iterator[FlaskClient]:
    """A dashboard over one job in each state, named by it."""
    bench.worker.start()
    bench.submit(make_request("done", max_tokens=1), make_request("broken", max_tokens=1000))
    bench.submit(make_request("aside", card_hash="other"))
    bench.turn(1)
    bench.submit(make_request("running", max_tokens=100))
    bench.turn(1)
    bench.submit(make_request("waiting"), make_request("cancelled"))
    bench.queue.cancel("cancelled")
    enqueue_what_does_not_wait_yet(bench)
    yield client
    bench.worker.teardown()


def enqueue_what_does_not_wait_yet(bench: Bench) -> None:
    queue = Queue("headrace-default", connection=bench.redis, serializer=JSONSerializer)
    options = {"description": "headrace.generate 5 prompt tokens"}
    queue.enqueue_in(
        timedelta(hours=1), "headrace.generate", job_id="postponed", retry=Retry(max=2), **options
    )
    queue.enqueue("headrace.generate", job_id="dependent", depends_on="running", **options)


def json_of(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, (path, response.text)
    return response.json


@pytest.mark.parametrize(("registry", "job_id"), REGISTRIES.items())
def test_each_registry_lists_its_job(dashboard: FlaskClient, registry: str, job_id: str) -> None:
    page = f"headrace-default/{registry}/8/asc/1"
    listed = json_of(dashboard, f"/rq/0/data/jobs/{page.replace('asc/1', 'asc/1.json')}")

    assert [job["id"] for job in listed["jobs"]] == [job_id]
    assert dashboard.get(f"/rq/0/view/jobs/{page}").status_code == 200


@pytest.mark.parametrize("job_id", REGISTRIES.values())
def test_each_job_has_a_page(dashboard: FlaskClient, job_id: str) -> None:
    shown = json_of(dashboard, f"/rq/0/data/job/{job_id}.json")

    assert shown["id"] == job_id
    assert "headrace.generate" in shown["description"]
    assert dashboard.get(f"/rq/0/view/job/{job_id}").status_code == 200


def test_a_finished_job_shows_its_result_and_a_failed_one_its_error(dashboard: FlaskClient) -> None:
    assert json_of(dashboard, "/rq/0/data/job/done.json")["result"]["text"] == "h"
    assert "exceed the context" in json_of(dashboard, "/rq/0/data/job/broken.json")["exc_info"]


def test_the_worker_and_its_job_are_shown(dashboard: FlaskClient) -> None:
    (worker,) = json_of(dashboard, "/rq/0/data/workers.json")["workers"]

    assert (worker["name"], worker["state"]) == ("worker-1", "busy")
    assert worker["current_job"]["job_id"] == "running"
    assert worker["current_job"]["call_string"] == "headrace.generate 5 prompt tokens"
    assert (worker["successful_job_count"], worker["failed_job_count"]) == (1, 1)


@pytest.mark.parametrize("page", ["/rq/", "/rq/0/view/queues", "/rq/0/view/workers"])
def test_the_overviews_open(dashboard: FlaskClient, page: str) -> None:
    assert dashboard.get(page, follow_redirects=True).status_code == 200


def test_the_queues_are_counted(dashboard: FlaskClient) -> None:
    (queue,) = json_of(dashboard, "/rq/0/data/queues.json")["queues"]

    assert queue["name"] == "headrace-default"
    assert queue["count"] == 1
    assert queue["failed_job_registry_count"] == 1


def test_a_failed_job_can_be_requeued_from_its_page(dashboard: FlaskClient, bench: Bench) -> None:
    assert dashboard.post("/rq/job/broken/requeue").json == {"status": "OK"}
    assert bench.state("broken") == "queued"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_an_address_changes_nothing(
    dashboard: FlaskClient, bench: Bench, method: str
) -> None:
    assert dashboard.open("/rq/requeue/headrace-default", method=method).status_code == 405
    assert bench.state("broken") == "failed"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "192.168.1.5:8000"}, 403),
    ],
)
def test_a_page_of_another_site_can_change_nothing(
    dashboard: FlaskClient, bench: Bench, headers: dict[str, str], status: int
) -> None:
    assert dashboard.post("/rq/job/broken/requeue", headers=headers).status_code == status
    assert bench.state("broken") == "failed"


def test_no_other_page_may_show_it_in_a_frame(dashboard: FlaskClient) -> None:
    policy = dashboard.get("/rq/0/view/workers").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy


def test_its_own_pages_may_post(dashboard: FlaskClient) -> None:
    headers = {"Origin": "http://localhost"}
    assert dashboard.post("/rq/job/broken/requeue", headers=headers).status_code == 200


@pytest.mark.parametrize("page", ["/rq/0/data/job/nobody.json", "/rq/7/data/queues.json"])
def test_an_unknown_page_is_not_found(dashboard: FlaskClient, page: str) -> None:
    assert dashboard.get(page).status_code == 404


@pytest.fixture
def exposed(settings: Settings, redis_url: str, bench: Bench) -> FlaskClient:
    """A client of an API that binds beyond loopback, as under Compose."""
    changes = {"redis_url": redis_url, "host": "0.0.0.0", "allow_anonymous": True}
    return create_app(settings.model_copy(update=changes | {"allowed_hosts": "api"})).test_client()


def test_published_on_loopback_it_needs_no_key(exposed: FlaskClient) -> None:
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000"):
        assert exposed.get("/rq/0/data/queues.json", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["api:8000", "192.168.1.5:8000", "0.0.0.0:8000"])
def test_elsewhere_it_is_for_an_administrators_key_alone(
    exposed: FlaskClient, api_keys: ApiKeyStore, host: str
) -> None:
    page, headers = "/rq/0/data/queues.json", {"Host": host}
    refused = exposed.get(page, headers=headers)
    assert (refused.status_code, "keys create" in refused.text) == (403, True)

    admin, _key = api_keys.create("root", frozenset({Scope.ADMIN}))
    user, _key = api_keys.create("alice", frozenset({Scope.SUBMIT, Scope.READ}))
    assert exposed.get(page, headers=headers, auth=("x", admin)).status_code == 200
    assert exposed.get(page, headers=headers, auth=("x", user)).status_code == 403
    assert exposed.get(page, headers=headers, auth=("x", "hr_wrong")).status_code != 200
    bearer = headers | {"Authorization": f"Bearer {admin}"}
    assert exposed.get(page, headers=bearer).status_code == 200


def test_once_there_is_a_key_a_browser_is_asked_for_one(
    dashboard: FlaskClient, api_keys: ApiKeyStore
) -> None:
    text, _key = api_keys.create("root", frozenset({Scope.ADMIN}))

    asked = dashboard.get("/rq/0/data/queues.json")
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"].startswith("Basic ")
    assert dashboard.get("/rq/0/data/queues.json", auth=("anybody", text)).status_code == 200
    assert dashboard.get("/rq/0/data/queues.json", auth=(text, "")).status_code == 401


def test_the_dashboard_is_for_administrators(
    dashboard: FlaskClient, api_keys: ApiKeyStore, bench: Bench
) -> None:
    text, _key = api_keys.create("alice", frozenset({Scope.SUBMIT, Scope.READ}))

    assert dashboard.get("/rq/0/data/queues.json", auth=("alice", text)).status_code == 403
    assert dashboard.post("/rq/job/broken/requeue", auth=("alice", text)).status_code == 403
    assert bench.state("broken") == "failed"


@pytest.mark.parametrize("origins", ["", "*", "http://evil.example"])
def test_a_page_of_another_site_cannot_use_a_browsers_key(
    settings: Settings, redis_url: str, bench: Bench, api_keys: ApiKeyStore, origins: str
) -> None:
    text, _key = api_keys.create("root", frozenset({Scope.ADMIN}))
    bench.worker.start()
    bench.submit(make_request("broken", max_tokens=1000))
    bench.turn(1)
    changes = {"redis_url": redis_url, "cors_origins": origins}
    dashboard = create_app(settings.model_copy(update=changes)).test_client()

    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
        answer = dashboard.post("/rq/job/broken/requeue", headers=headers, auth=("x", text))
        assert answer.status_code == 403
    assert dashboard.get("/rq/requeue/headrace-default", auth=("x", text)).status_code == 405
    assert bench.state("broken") == "failed"
    bench.worker.teardown()

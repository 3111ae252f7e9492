"""No JSON schema holds up a neighbour: not through the API, nor as a job of somebody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from headrace.core.card_store import CardStore
from headrace.core.connection import WORKER_TIMEOUT_S, Client, connect
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import Sampling
from tests.deployment import Deploy, Deployment
from tests.fakes import make_request
from tests.gap_watch import GapWatch, quantile
from tests.waiting import eventually

TEXT = {"type": "string"}
PROMPT = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"
FREEZE_S = 1.0
NOISE_S = 0.6
"""Seconds that a step may take at times on two cores that others use as well."""


HARM = ("lost", "died", "heartbeat late")
"""Words of log lines that tell of a neighbour's harm."""


def pattern(*bounds: int) -> dict[str, Any]:
    """One repeat around the other."""
    text = "[a-y]"
    for bound in bounds:
        text = f"({text}{{1,{bound}}})"
    return TEXT | {"pattern": f"^{text}$"}


def arrays(*bounds: int) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for bound in bounds:
        schema = {"type": "array", "items": schema, "maxItems": bound}
    return schema


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


TREE = {"$ref": "#/$defs/node"}

ATTACKS: dict[str, dict[str, Any]] = {
    "the case": pattern(40, 40, 40, 40),
    "deep repeats within the bounds": pattern(9, 9, 9, 9),
    "ambiguous repeats": TEXT | {"pattern": "^(((a|a){1,60}){1,60})*$"},
    "many characters": TEXT | {"maxLength": 100_000},
    "many characters at least": TEXT | {"minLength": 5_000, "maxLength": 9_000},
    "optional properties": an_object(**{f"p{n}": TEXT for n in range(300)}),
    "nested arrays": arrays(10_000, 10_000, 10_000),
    "an enum": {"enum": [f"value {n * 7919}" for n in range(3_000)]},
    "a tree": {"$defs": {"node": an_object(**{f"c{n}": TREE for n in range(40)})}, **TREE},
    "alternatives": {"anyOf": [TEXT | {"maxLength": 100 + n} for n in range(40)]},
    "long texts in an array": arrays(1_000) | {"items": an_object(a=TEXT | {"maxLength": 900})},
}


@pytest.fixture(scope="module")
def served(deploy: Deploy) -> Deployment:
    return deploy(HEADRACE_ENGINE="openvino", HEADRACE_THREADS="1")


@pytest.fixture
def redis(served: Deployment) -> Iterator[Client]:
    client = connect(served.redis_url, WORKER_TIMEOUT_S)
    yield client
    client.connection_pool.disconnect()


@pytest.fixture(scope="module")
def step_s(served: Deployment) -> float:
    """Median gap between the tokens of a neighbour while nobody attacks."""
    watch = GapWatch(served, PROMPT, max_tokens=80)
    watch.start()
    eventually(lambda: len(watch.gaps_s) >= 60, 100)
    watch.stop()
    return quantile(watch.gaps_s, 0.5)


def ask(served: Deployment, schema: dict[str, Any]) -> str | None:
    """The job's id; None where the API refuses the schema. Comes again as it is told."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {"prompt": PROMPT, "max_tokens": 4, "response_format": form}
    responses = []

    def is_decided() -> bool:
        responses.append(served.client.post("/v1/jobs", json=body))
        return responses[-1].status_code != 503

    eventually(is_decided, 120)
    answer = responses[-1].json()
    if responses[-1].status_code == 400:
        assert answer["error"]["param"] == "response_format.json_schema.schema"
        return None
    assert responses[-1].status_code == 202, answer
    return str(answer["id"])


def submit_directly(redis: Client, schema: dict[str, Any]) -> str:
    """Past the API, which would refuse most of these."""
    card = CardStore(redis).current()
    rules = Sampling(max_tokens=4, temperature=0.0, json_schema=json.dumps(schema))
    request = make_request(uuid4().hex, sampling=rules)
    own = replace(request, model=card.name, card_hash=card.hash, prompt_ids=card.tokenize(PROMPT))
    return JobQueue(redis, Settings()).submit(own).job_id


def assert_nobody_waited(watch: GapWatch, step_s: float) -> None:
    print(
        f"{len(watch.gaps_s)} gaps: median {quantile(watch.gaps_s, 0.5):.3f}, p99"
        f" {quantile(watch.gaps_s, 0.99):.3f}, longest {max(watch.gaps_s):.3f}; a step {step_s:.3f}"
    )
    assert quantile(watch.gaps_s, 0.99) <= max(3 * step_s, NOISE_S)
    assert max(watch.gaps_s) < FREEZE_S


def assert_nobody_died(served: Deployment, redis: Client, job_ids: list[str]) -> None:
    queue = JobQueue(redis, Settings())
    eventually(lambda: all(queue.state(job_id).is_terminal for job_id in job_ids), 300)
    assert {redis.hget(f"rq:job:{job_id}", "hr_deaths") for job_id in job_ids} <= {None, b"0"}
    counts = redis.hgetall(keys.COUNTS)
    assert {counts.get(name) for name in (b"redelivered", b"retried", b"dead")} == {None}
    assert not [text for text in served.messages() if any(word in text for word in HARM)]


OF_FAILED_JOBS = {"HeadraceErrorRateHigh", "HeadraceSloBurnPage", "HeadraceSloBurnTicket"}
"""Alerts that the failures of the refused jobs themselves may raise."""


def alerts(served: Deployment) -> set[str]:
    return {line["alert"] for line in served.lines() if line["message"] == "alert raised"}


def test_schemas_sent_to_the_api_hold_up_no_neighbour(
    served: Deployment, redis: Client, step_s: float
) -> None:
    watch = GapWatch(served, PROMPT, max_tokens=200)
    watch.start()
    asked = {name: ask(served, schema) for name, schema in ATTACKS.items()}
    eventually(lambda: len(watch.gaps_s) >= 100, 100)
    watch.stop()

    assert_nobody_waited(watch, step_s)
    assert_nobody_died(served, redis, [*watch.job_ids, *filter(None, asked.values())])
    assert alerts(served) == set()
    assert asked["the case"] is None
    assert asked["a tree"] is not None


def test_schemas_of_jobs_that_passed_no_api_hold_up_no_neighbour(
    served: Deployment, redis: Client, step_s: float
) -> None:
    """Each is a little other than those that were tried already."""
    watch = GapWatch(served, PROMPT, max_tokens=200)
    watch.start()
    fresh = [schema | {"title": "another"} for schema in ATTACKS.values()]
    job_ids = [submit_directly(redis, schema) for schema in fresh]
    queue = JobQueue(redis, Settings())
    eventually(lambda: all(queue.state(job_id).is_terminal for job_id in job_ids), 300)
    eventually(lambda: len(watch.gaps_s) >= 100, 100)
    watch.stop()

    assert_nobody_waited(watch, step_s)
    assert_nobody_died(served, redis, [*watch.job_ids, *job_ids])
    assert alerts(served) <= OF_FAILED_JOBS
    assert "repeats are written out" in str(queue.get(job_ids[0]).error)


def test_an_answer_that_does_not_fit_its_schema_is_no_success(served: Deployment) -> None:
    """A stop string cuts the only answer that fits."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": ["wheel"]}}}
    messages = [{"role": "user", "content": PROMPT}]
    body = {"messages": messages, "max_tokens": 20, "stop": ["e"], "response_format": form}
    path = "/v1/chat/completions"
    eventually(lambda: served.client.post(path, json=body).status_code != 503, 120)

    refused = served.client.post(path, json=body)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (422, "false")
    assert refused.json()["error"]["code"] == "schema_violation"
    cut = served.client.post(path, json=body | {"max_tokens": 2, "stop": None}).json()
    assert cut["choices"][0]["finish_reason"] == "length"
    whole = served.client.post(path, json=body | {"stop": ["!"]}).json()
    assert whole["choices"][0]["message"]["content"] == '"wheel"'

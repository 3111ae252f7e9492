"""Lines of a whole deployment as Filebeat ships them: nothing that Elasticsearch would refuse."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from tests.deployment import Deploy, Deployment
from tests.unit.test_filebeat import ECS_OBJECTS
from tests.waiting import eventually

ALWAYS = {"@timestamp", "log.level", "message", "ecs.version", "service.name"}


@pytest.fixture(scope="module")
def logged(deploy: Deploy) -> Deployment:
    """Jobs, a refusal, a dead worker and the end of it all."""
    deployment = deploy(HEADRACE_ENGINE="simulated", HEADRACE_LOG_LEVEL="debug")
    deployment.job(deployment.submit("Hello", max_tokens=2), wait_s=30)
    assert deployment.client.post("/v1/jobs", json={"prompt": 7}).status_code == 400
    long = deployment.submit("Count", max_tokens=1500)
    eventually(lambda: deployment.job(long)["status"] == "running", 30)
    os.killpg(deployment.pid("worker-1"), signal.SIGKILL)
    eventually(lambda: any("redelivered" in each for each in deployment.messages()), 30)
    deployment.cancel([long])
    deployment.stop()
    return deployment


def flat(line: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each field by its whole name, as Filebeat's `expand_keys` has it."""
    for name, value in line.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_every_line_has_what_the_schema_wants(logged: Deployment) -> None:
    lines = [dict(flat(line)) for line in logged.lines()]
    assert {line["service.name"] for line in lines} >= {"api", "monitor", "scaler"}
    for line in lines:
        assert line.keys() >= ALWAYS
        assert datetime.fromisoformat(line["@timestamp"]).tzinfo is not None
        assert not line.keys() & ECS_OBJECTS, line


def test_a_field_is_of_one_type_in_all_lines(logged: Deployment) -> None:
    kinds: dict[str, set[type]] = defaultdict(set)
    for line in logged.lines():
        for name, value in flat(line):
            if value is not None:
                kinds[name].add(float if type(value) is int else type(value))
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}
    names = set(kinds)
    assert not {name for name in names for other in names if other.startswith(f"{name}.")}


def test_what_is_no_json_tells_people_what_is_ready(logged: Deployment) -> None:
    others = [line for line in logged.log.read_text().splitlines() if not line.startswith("{")]
    assert others
    assert [line for line in others if "ready" not in line] == []

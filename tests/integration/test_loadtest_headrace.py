"""What Headrace itself tells its load tester, whichever way it is asked."""

from __future__ import annotations

import pytest

from headrace.loadtest.api import API_NAMES, ApiName
from headrace.loadtest.record import ALL_STAGES
from tests.deployment import Deploy, Deployment
from tests.load import closed, load_with_records

USERS, PROMPT_TOKENS, MAX_TOKENS = 4, 48, 8


@pytest.fixture(scope="module")
def deployment(deploy: Deploy) -> Deployment:
    return deploy(HEADRACE_ENGINE="simulated", HEADRACE_SIMULATED_ALPHA_S="0.03")


@pytest.mark.parametrize("api", API_NAMES)
def test_every_api_is_measured_with_the_stages_of_its_jobs(
    deployment: Deployment, api: ApiName
) -> None:
    users = closed(USERS, PROMPT_TOKENS, MAX_TOKENS)
    [result], [records] = load_with_records(deployment.url, users, api=api)
    figures = result.figures
    assert figures.errors == {}
    assert list(figures.stages_s) == list(ALL_STAGES)
    assert figures.batch_size is not None and figures.batch_size > USERS / 2
    assert figures.ttft is not None
    assert figures.ttft.source == ("client" if api == "stream" else "server")
    assert {record.output_tokens for record in records} == {MAX_TOKENS}
    assert {record.input_tokens for record in records} == {PROMPT_TOKENS}
    assert {check.name for check in result.checks if check.status == "failed"} <= {"lag"}

"""Checks of answers in their helper process, and helpers that are lost over one."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from batcher.simulated import SimulatedEngine
from headrace.core.jobs.handover import Claim
from headrace.core.settings import Settings
from headrace.core.types import Delta, FinishReason, Sampling
from tests.fakes import CARD, make_request
from tests.waiting import eventually
from worker.answer_check.checks import FITS, HelperChecks, Judgement, NoChecks, make_answer_checks
from worker.engine_port import LocalEngine
from worker.running import Running

LEVELS = 40
ENDLESS = json.dumps(
    {
        "$defs": {
            **{
                f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2}
                for n in range(LEVELS)
            },
            f"a{LEVELS}": {"type": "integer"},
        },
        "$ref": "#/$defs/a0",
    }
)  # fmt: skip
"""Each level is tried twice for each of the one before it, where an answer does not fit."""

DYING = """
import json, os, signal, sys
print("ready", flush=True)
for line in sys.stdin:
    os.kill(os.getpid(), signal.Signals[json.loads(line)[1]])
"""

Make = Callable[..., HelperChecks]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:

        def start(script: str | None = None, limit_s: float = 0.5) -> HelperChecks:
            command = script and [sys.executable, "-c", script]
            checks = HelperChecks(command, limit_s)
            stack.callback(checks.stop)
            return checks

        yield start


def answered(text: str, schema: str = '{"type": "boolean"}') -> Running:
    request = make_request(sampling=Sampling(max_tokens=9, json_schema=schema))
    job = Running(Claim("job-1", "e", 1, request), request, "worker-1", now=0.0)
    job.absorb(Delta("job-1", (1,), text, finish_reason=FinishReason.STOP), rows=1, now=0.0)
    return job


def judge(checks: HelperChecks, *jobs: Running) -> list[Judgement]:
    found = []
    for job in jobs:
        checks.begin(job)
    while len(found) < len(jobs):
        checks.wait(20)
        found += checks.finished()
    assert [job for job, _judgement in found] == list(jobs)
    return [judgement for _job, judgement in found]


def test_one_answer_is_checked_after_the_other(make: Make) -> None:
    checks = make()
    jobs = [answered("true"), answered("maybe"), answered("{}"), answered("false")]
    assert judge(checks, *jobs) == [
        FITS,
        Judgement("the answer breaks its json_schema: it is no JSON"),
        Judgement("the answer breaks its json_schema: it does not fit type"),
        FITS,
    ]
    assert checks.finished() == []


def test_a_schema_that_no_validator_can_be_made_of_lets_no_answer_pass(make: Make) -> None:
    [judgement] = judge(make(), answered("1", '{"$ref": "http://127.0.0.1:9/"}'))
    assert "no validator can be made of it" in str(judgement.complaint)


def test_an_endless_check_is_broken_off_and_harms_no_other(make: Make) -> None:
    checks = make(limit_s=0.2)
    [endless, good] = judge(checks, answered('"x"', ENDLESS), answered("true"))
    assert "could not be checked" in str(endless.complaint) and "0.2 s" in str(endless.complaint)
    assert not endless.may_pass
    assert good == FITS


@pytest.mark.parametrize(
    ("ending", "said", "may_pass"),
    [("SIGSEGV", "exit code -11", False), ("SIGKILL", "could not be checked", True)],
)
def test_a_lost_helper_is_no_proof_of_an_answer(
    make: Make, ending: str, said: str, may_pass: bool
) -> None:
    [judgement] = judge(make(DYING), answered(ending))
    assert said in str(judgement.complaint)
    assert judgement.may_pass is may_pass


def test_a_helper_that_cannot_be_started_blames_no_answer() -> None:
    checks = HelperChecks(["/nowhere/python"])
    [judgement] = judge(checks, answered("true"))
    checks.stop()
    assert judgement.may_pass


def test_a_huge_answer_takes_a_moment(make: Make) -> None:
    schema = json.dumps({"type": "array", "items": {"type": "string", "pattern": "^(a+)+$"}})
    checks = make()
    judge(checks, answered("true"))
    started = time.monotonic()
    text = json.dumps(["a" * 50 + "b"] * 10_000)
    [judgement] = judge(checks, answered(text, schema))
    assert "items.pattern" in str(judgement.complaint)
    assert time.monotonic() - started < 10


def test_nothing_runs_before_a_job_needs_it(make: Make) -> None:
    checks = make()
    assert checks._thread is None
    checks.prepare()
    eventually(lambda: checks._helper._helper is not None)
    checks.stop()
    assert checks._helper._helper is None


def test_an_engine_without_schemas_needs_no_checks(settings: Settings) -> None:
    engine = LocalEngine(SimulatedEngine(settings, CARD))
    checks = make_answer_checks(engine)
    assert isinstance(checks, NoChecks)
    with pytest.raises(ValueError, match="no schema"):
        checks.begin(answered("true"))

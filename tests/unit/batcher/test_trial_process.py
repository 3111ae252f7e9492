"""A helper that is lost over a schema: with helpers of a few lines, and with the real one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from batcher.engine import make_trial
from batcher.helper_process import HelperProcess
from batcher.trial_process import TrialProcess
from headrace.core.json_schema.verdict import Verdict
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from tests.waiting import eventually

HELPER = """
import json, os, signal, sys
print("ready", flush=True)
for line in sys.stdin:
    ending = json.loads(line)
    if ending.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[ending])
    elif ending == "starve":
        signal.pause()
    print(json.dumps({"compile_s": 0.5}), flush=True)
"""
BOOLEAN = '{"type": "boolean"}'
ENDLESS = '{"type": "string", "maxLength": 3000}'
"""Takes about half a second with a vocabulary of 320 tokens."""

Make = Callable[..., TrialProcess]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:

        def start(script: str = HELPER, patience_s: float = 20.0) -> TrialProcess:
            trial = TrialProcess([sys.executable, "-c", script], 2.0, patience_s)
            stack.callback(trial.close)
            return trial

        yield start


def test_one_trial_follows_the_other(make: Make) -> None:
    trial = make()
    trial.start()
    assert [trial.judge(BOOLEAN), trial.judge(BOOLEAN)] == [Verdict(0.5)] * 2


@pytest.mark.parametrize(
    ("ending", "verdict"),
    [
        ("SIGPROF", Verdict(2.0, is_whole=False)),
        ("SIGSEGV", Verdict(0.0, refusal="the grammar's compiler failed on it (exit code -11)")),
        ("SIGKILL", None),
    ],
)
def test_a_helper_that_dies_is_started_again(
    make: Make, ending: str, verdict: Verdict | None
) -> None:
    trial = make()
    assert trial.judge(ending) == verdict
    assert trial.judge(BOOLEAN) == Verdict(0.5)


def test_a_helper_that_starves_is_given_up(make: Make) -> None:
    assert make(patience_s=1.0).judge("starve") is None


def test_a_helper_that_does_not_start_has_no_verdict(make: Make) -> None:
    assert make("raise SystemExit(3)").judge(BOOLEAN) is None


@pytest.fixture(scope="module")
def real(tiny_openvino: Path, card: ModelCard) -> Iterator[TrialProcess]:
    settings = load_settings(schema_compile_ms=200)
    trial = make_trial(settings, "OpenVinoEngine", card, tiny_openvino)
    yield trial
    trial.close()


def test_a_good_schema_has_its_times(real: TrialProcess) -> None:
    verdict = real.judge('{"type": "string", "maxLength": 30}')
    assert verdict is not None
    assert verdict.complaint(most_s=0.2) is None
    assert 0 < verdict.step_s < verdict.compile_s


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ("{not json", "not JSON"),
        ('{"type": "nonsense"}', "no JSON schema: type"),
        ('{"$ref": "#/nowhere"}', "#/$ref: #/nowhere: no such schema"),
        ('{"type": "string", "pattern": "(unclosed"}', "#/pattern: no regular expression"),
        ('{"type": "array", "uniqueItems": true}', "#/uniqueItems: that items differ"),
        ('{"type": "integer", "minimum": 5, "maximum": 1}', "no value fits"),
        ("[1]", "no JSON schema"),
    ],
)
def test_a_schema_that_no_grammar_can_be_made_of_is_refused_and_harms_no_other(
    real: TrialProcess, schema: str, complaint: str
) -> None:
    verdict = real.judge(schema)
    assert verdict is not None
    assert complaint in str(verdict.refusal)
    assert real.judge(BOOLEAN) is not None


def test_a_schema_that_compiles_for_ever_is_broken_off(real: TrialProcess) -> None:
    assert real.judge(ENDLESS) == Verdict(0.2, is_whole=False)
    verdict = real.judge(BOOLEAN)
    assert verdict is not None and verdict.refusal is None


def test_a_helper_ends_with_its_worker(tiny_openvino: Path) -> None:
    """Kills the worker in the middle of a trial."""
    parent = f"""
import json, os, subprocess, sys, time
command = [sys.executable, "-m", "batcher.openvino_engine.schema_trial", {str(tiny_openvino)!r}]
helper = subprocess.Popen([*command, str(os.getpid()), "60"], stdin=-1, stdout=-1, text=True)
helper.stdout.readline()
print(json.dumps({ENDLESS!r}), file=helper.stdin, flush=True)
print(helper.pid, flush=True)
time.sleep(60)
"""
    with ExitStack() as stack:
        helper = HelperProcess([sys.executable, "-c", parent])
        stack.callback(helper.close)
        helper.start()
        assert helper._helper is not None
        line = helper._hear(60)
        assert line is not None
        os.kill(helper._helper.pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{int(line)}/exe").exists())

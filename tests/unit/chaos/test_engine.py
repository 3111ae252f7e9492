"""The engine of the chaos workers does what a marker asks for, and only then."""

from __future__ import annotations

import os
from unittest.mock import patch

import pytest

from headrace.core.settings import Settings
from headrace.core.types import Delta
from tests.chaos.engine import FaultyEngine
from tests.chaos.markers import Mark, Misdeed, find_mark
from tests.fakes import make_request

NO_TIME = {f"simulated_{part}_s": 0.0 for part in ("alpha", "beta", "gamma")}


@pytest.fixture
def engine(settings: Settings) -> FaultyEngine:
    return FaultyEngine(settings.model_copy(update=NO_TIME), "worker-1")


def ends(engine: FaultyEngine) -> dict[str, Delta]:
    deltas = []
    while not engine.is_idle:
        deltas += engine.step()
    return {delta.request_id: delta for delta in deltas if delta.is_last}


def test_a_mark_is_found_in_a_prompt() -> None:
    mark = Mark(Misdeed.NAN, 7)
    assert find_mark(f"please {mark} now") == mark
    assert find_mark("please") is None


@pytest.mark.parametrize("misdeed", [Misdeed.RAISE, Misdeed.NAN])
def test_one_request_fails_and_the_others_do_not(engine: FaultyEngine, misdeed: Misdeed) -> None:
    engine.add(make_request("marked", prompt=str(Mark(misdeed, 2)), max_tokens=9))
    engine.add(make_request("plain", max_tokens=9))
    ended = ends(engine)

    assert ended["marked"].error
    assert ended["plain"].error is None


@pytest.mark.parametrize("misdeed", [Misdeed.EXIT, Misdeed.MEMORY])
def test_the_process_ends_once_the_request_has_its_tokens(
    engine: FaultyEngine, misdeed: Misdeed
) -> None:
    engine.add(make_request(prompt=str(Mark(misdeed, 2)), max_tokens=9))
    with patch.object(os, "_exit", side_effect=SystemExit) as ended:
        engine.step()
        engine.step()
        ended.assert_not_called()
        with pytest.raises(SystemExit):
            engine.step()


def test_workers_have_voices_of_their_own(settings: Settings) -> None:
    texts = []
    for worker in ("worker-1", "worker-2"):
        engine = FaultyEngine(settings.model_copy(update=NO_TIME), worker)
        engine.add(make_request(max_tokens=3))
        texts.append("".join(engine.step()[0].text for _ in range(3)))

    assert [len(text) for text in texts] == [3, 3]
    assert texts[0] != texts[1]

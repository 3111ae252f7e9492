from __future__ import annotations

import pytest

from batcher.admission import ContinuousAdmission, MicroBatchAdmission, make_admission
from headrace.core.settings import load_settings
from headrace.core.types import Room
from tests.fakes import FakeClock

NONE = Room(0, 0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def micro(clock: FakeClock) -> MicroBatchAdmission:
    return MicroBatchAdmission(wait_s=0.02, clock=clock)


def test_continuous_admission_offers_all_room_and_steps_while_anything_runs() -> None:
    admission = ContinuousAdmission()
    assert admission.room(Room(3, 30), running=5) == Room(3, 30)
    admission.admitted(3)
    assert admission.may_step(running=8)
    assert admission.wait_s(running=8) == 0
    assert not admission.may_step(running=0)
    assert admission.wait_s(running=0) is None
    assert admission.may_preempt


def test_a_micro_batch_waits_for_mates_from_its_first_request_on(
    micro: MicroBatchAdmission, clock: FakeClock
) -> None:
    clock.sleep(5)
    assert micro.room(Room(4, 40), running=0) == Room(4, 40)
    micro.admitted(1)
    assert not micro.may_step(running=1)
    assert micro.wait_s(running=1) == pytest.approx(0.02)
    clock.sleep(0.015)
    assert micro.room(Room(3, 30), running=1) == Room(3, 30)
    micro.admitted(1)
    assert micro.wait_s(running=2) == pytest.approx(0.005)
    clock.sleep(0.006)
    assert micro.wait_s(running=2) == 0
    assert micro.may_step(running=2)


def test_a_micro_batch_takes_nobody_in_until_it_has_ended(
    micro: MicroBatchAdmission, clock: FakeClock
) -> None:
    micro.room(Room(4, 40), running=0)
    micro.admitted(2)
    clock.sleep(0.03)
    assert micro.may_step(running=2)
    assert micro.room(Room(2, 20), running=2) == NONE
    assert micro.may_step(running=1)
    assert micro.room(Room(3, 30), running=1) == NONE
    assert not micro.may_step(running=0)
    assert micro.room(Room(4, 40), running=0) == Room(4, 40)
    assert micro.wait_s(running=0) is None


@pytest.mark.parametrize("free", [Room(0, 40), Room(2, 0)])
def test_a_full_micro_batch_runs_at_once(micro: MicroBatchAdmission, free: Room) -> None:
    micro.room(Room(4, 40), running=0)
    micro.admitted(2)
    micro.room(free, running=2)
    assert micro.wait_s(running=2) == 0
    assert micro.may_step(running=2)


def test_a_micro_batch_whose_slots_are_all_claimed_runs_at_once(
    micro: MicroBatchAdmission,
) -> None:
    micro.room(Room(2, 20), running=0)
    micro.admitted(2)
    assert micro.may_step(running=2)


def test_an_empty_claim_opens_no_micro_batch(micro: MicroBatchAdmission) -> None:
    micro.room(Room(2, 20), running=0)
    micro.admitted(0)
    assert not micro.may_step(running=0)
    assert micro.wait_s(running=0) is None


def test_a_micro_batch_that_was_aborted_starts_its_wait_anew(
    micro: MicroBatchAdmission, clock: FakeClock
) -> None:
    micro.room(Room(2, 20), running=0)
    micro.admitted(1)
    clock.sleep(1)
    micro.room(Room(2, 20), running=0)
    micro.admitted(1)
    assert micro.wait_s(running=1) == pytest.approx(0.02)


def test_settings_choose_the_admission(clock: FakeClock) -> None:
    continuous = make_admission(load_settings(admission="continuous"), clock)
    assert isinstance(continuous, ContinuousAdmission)
    micro = make_admission(load_settings(admission="micro", batch_wait_ms=0), clock)
    micro.room(Room(2, 20), running=0)
    micro.admitted(1)
    assert micro.may_step(running=1)

"""The workers of the fleet by their numbers, and how far each has come."""

from __future__ import annotations

from collections.abc import Callable

from headrace.core.fleet import FORGOTTEN_S
from headrace.core.roster import WorkerState
from scaler.readings import Member, Phase
from scaler.snapshot import Snapshot

NumberOf = Callable[[str], int | None]
"""The number of a worker in the fleet by its name; None for one that is not of the fleet."""


def members_of(snapshot: Snapshot, number_of: NumberOf) -> tuple[Member, ...]:
    """One a number, lowest first: who beats before who starts before who is only wanted.

    A number that is wanted and has no process yet counts as starting since it was wanted, or since
    its last process died. Workers without a number are none of the fleet.
    """
    members = (
        _wanted(snapshot, number_of)
        | _starting(snapshot, number_of)
        | _beating(snapshot, number_of)
    )
    return tuple(members[number] for number in sorted(members))


def _beating(snapshot: Snapshot, number_of: NumberOf) -> dict[int, Member]:
    """Of two under one number the younger: the other was killed."""
    found = {}
    for beat in sorted(snapshot.beats, key=lambda beat: -beat.age_s):
        if number := number_of(beat.name):
            phase = _phase(beat, snapshot)
            found[number] = Member(number, phase, beat.age_s, beat.stats.running)
    return found


def _phase(beat: WorkerState, snapshot: Snapshot) -> Phase:
    """The flag counts: a worker reads it up to a second later."""
    if beat.activity == "ready" and beat.name in snapshot.draining:
        return "draining"
    return "starting" if beat.activity == "restarting" else beat.activity


def _starting(snapshot: Snapshot, number_of: NumberOf) -> dict[int, Member]:
    ages = {name: snapshot.backlog.at - began for name, began in snapshot.starting.items()}
    found = {}
    for name, age_s in sorted(ages.items(), key=lambda item: -item[1]):
        if (number := number_of(name)) and age_s < FORGOTTEN_S:
            phase: Phase = "drained" if name in snapshot.draining else "starting"
            found[number] = Member(number, phase, max(0.0, age_s))
    return found


def _wanted(snapshot: Snapshot, number_of: NumberOf) -> dict[int, Member]:
    since = dict.fromkeys(range(1, (snapshot.desired.size or 0) + 1), snapshot.desired.since)
    for name, at in snapshot.deaths.items():
        if (number := number_of(name)) in since:
            since[number] = max(at, since[number])
    now = snapshot.backlog.at
    return {number: Member(number, "starting", max(0.0, now - at)) for number, at in since.items()}

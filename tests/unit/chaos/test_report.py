"""Rows and the report: what counts as held, and what is printed of it."""

from __future__ import annotations

from tests.chaos.faults.engine_error import EngineErrors
from tests.chaos.faults.worker_killed import WorkerKilled
from tests.chaos.orders import ONE_QUEUE, THREE_QUEUES
from tests.chaos.report import as_json, markdown, takeover
from tests.chaos.row import Row
from tests.chaos.run import Run
from tests.chaos.verdict import Verdict


def killed_row(*recoveries: float, supervised: bool = False) -> Row:
    fault = WorkerKilled(supervised=supervised, priorities=ONE_QUEUE)
    return Row.of(fault, [Run(fault, 1, Verdict(jobs=3), list(recoveries))])


def test_a_row_adds_up_its_runs() -> None:
    fault = EngineErrors()
    runs = [Run(fault, seed, Verdict(jobs=4, redelivered=["a"])) for seed in (1, 2)]
    row = Row.of(fault, runs)

    assert (row.seeds, row.jobs, row.redelivered, row.lost) == (2, 8, 2, 0)
    assert row.held
    assert row.recovery_s(99) is None


def test_a_bound_that_broke_names_its_seed() -> None:
    fault = EngineErrors()
    row = Row.of(fault, [Run(fault, 7, broken=["a submit took 9 s to fail"])])

    assert not row.held
    assert row.broken == ("seed 7: a submit took 9 s to fail",)


def test_a_slow_recovery_breaks_its_bound() -> None:
    assert killed_row(1.0, 2.9).held
    assert not killed_row(1.0, 3.1).held


def test_a_verdict_names_what_it_found() -> None:
    assert Verdict(lost=["a", "b"]).broken_promises == ["2 lost: a, b"]
    assert Verdict(redelivered=["a"]).broken_promises == []


def test_the_table_has_a_line_for_every_fault() -> None:
    table = markdown([killed_row(1.25), Row.of(EngineErrors(), [])]).splitlines()

    assert table[2] == (
        "| 1 worker killed, alone, one queue | 1 | 3 | 0 | 0 | 0 | 0 | 0 "
        "| 1.25 / 1.25 / 1.25 | yes |"
    )
    assert len({line.count("|") for line in table}) == 1


def test_takeover_keeps_supervised_and_alone_apart() -> None:
    other = WorkerKilled(supervised=False, priorities=THREE_QUEUES)
    rows = [
        killed_row(1.0),
        Row.of(other, [Run(other, 1, recoveries=[1.5])]),
        killed_row(0.25, supervised=True),
    ]
    assert takeover(rows) == {"lease_s": 1.0, "alone_p99_s": 1.5, "supervised_p99_s": 0.25}
    assert takeover([])["alone_p99_s"] is None


def test_the_json_holds_every_row() -> None:
    report = as_json([killed_row(1.0)], seeds=1, seconds=2.6)

    (fault,) = report["faults"]
    assert report["seconds"] == 3
    assert fault["recovery_s"] == {"p50": 1.0, "p99": 1.0, "max": 1.0, "count": 1}
    assert fault["bound_held"]

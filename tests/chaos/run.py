"""One fault with one seed, from the first worker to the verdict."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.fault import Fault
from tests.chaos.patience import Broken
from tests.chaos.site import Site
from tests.chaos.verdict import Verdict


@dataclass
class Run:
    """`broken` are the bounds that did not hold, in words."""

    fault: Fault
    seed: int
    verdict: Verdict = field(default_factory=Verdict)
    recoveries: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run_fault(fault: Fault, seed: int) -> Run:
    run, began = Run(fault, seed), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        site = Site(
            Path(folder) / "site",
            supervised=fault.supervised,
            fsync=fault.fsync,
            changes=fault.changes(),
        )
        with site:
            _play(run, site)
    run.seconds = time.monotonic() - began
    return run


def _play(run: Run, site: Site) -> None:
    fault = run.fault
    _note(run, lambda: fault.strike(site, random.Random(run.seed)))
    _note(run, lambda: site.settle(fault.patience_s))
    site.checker.reader.stop()
    run.verdict = site.checker.verdict()
    run.recoveries = site.recoveries
    run.broken += run.verdict.broken_promises
    if run.verdict.redelivered and not fault.may_redeliver:
        run.broken.append(f"{len(run.verdict.redelivered)} redelivered, and none may be")
    _note(run, lambda: fault.inspect(site))


def _note(run: Run, part: Callable[[], None]) -> None:
    """A broken bound ends its part of the run, not the verdict."""
    try:
        part()
    except Broken as broken:
        run.broken.append(str(broken))

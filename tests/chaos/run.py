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
            serve=fault.server,
            changes=fault.changes(),
        )
        try:
            with site:
                _play(run, site)
        except Broken as broken:  # it did not come up
            run.broken.append(str(broken))
    run.seconds = time.monotonic() - began
    return run


def _play(run: Run, site: Site) -> None:
    fault = run.fault
    run.recoveries = site.recoveries
    _note(run, lambda: fault.strike(site, random.Random(run.seed)))
    _note(run, lambda: site.settle(fault.patience_s))
    _note(run, lambda: _judge(run, site))
    _note(run, lambda: fault.inspect(site))


def _judge(run: Run, site: Site) -> None:
    site.checker.reader.stop()
    run.verdict = verdict = site.checker.verdict()
    run.broken += verdict.broken_promises
    if verdict.blamed and not run.fault.may_blame:
        run.broken.append(f"{len(verdict.blamed)} charged with a death, and none may be")
    if verdict.redelivered and not run.fault.may_redeliver:
        run.broken.append(f"{len(verdict.redelivered)} redelivered, and none may be")


def _note(run: Run, part: Callable[[], None]) -> None:
    """What goes wrong in one part ends neither the verdict nor the runs after this one."""
    try:
        part()
    except Broken as broken:
        run.broken.append(str(broken))
    except Exception as error:
        run.broken.append(f"{type(error).__name__}: {error}")

"""Whether a level may be believed: each check is a pure function of figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from headrace.loadtest.quantiles import percentile
from headrace.loadtest.server_counts import METRIC, Counts

TOLERANCE = 0.05
LEAST_LAG_S, LAG_SHARE = 0.010, 0.02
LEAST_DELIVERY_S, DELIVERY_PERCENT = -0.005, 1


@dataclass(frozen=True)
class Check:
    """`unchecked` is no failure: nothing could be said, and `says` says why."""

    name: str
    status: Literal["ok", "failed", "unchecked"]
    says: str


def complete(requests: int, succeeded: int, left_open: int, is_interrupted: bool) -> Check:
    """The level ran to its end and measured something."""
    if is_interrupted:
        still = f"{left_open} requests were open and are not counted; a Headrace goes on with them"
        return Check("complete", "failed", f"interrupted: {still}")
    if not requests:
        return Check("complete", "failed", "no request was sent in the window")
    if not succeeded:
        return Check("complete", "failed", f"none of {requests} requests succeeded")
    return Check("complete", "ok", f"{requests} requests")


def littles_law(
    in_flight: float,
    latencies_s: Sequence[float],
    window_s: float,
    offered_per_s: float | None = None,
) -> Check:
    """In the mean, as many requests are under way as complete a second times their latency.

    (Little 1961.) `latencies_s` are those of all completions in the window. Where its edges may
    explain what is missing (see `edge_effect`), a longer window would tell. `offered_per_s` is the
    rate of an open loop.
    """
    if in_flight == 0 or window_s <= 0 or not any(latencies_s):
        return Check("little", "failed", "no request ended in the window: run longer")
    law = sum(latencies_s) / window_s
    apart = abs(in_flight - law) / max(in_flight, law)
    figures = (
        f"{in_flight:.2f} requests in flight, {len(latencies_s) / window_s:.2f}/s x "
        f"{fmean(latencies_s):.3f} s = {law:.2f}: {apart:.1%} apart"
    )
    if apart <= TOLERANCE:
        return Check("little", "ok", figures)
    completed_per_s = len(latencies_s) / window_s
    if offered_per_s is not None and completed_per_s < (1 - TOLERANCE) * offered_per_s:
        rates = f"{offered_per_s:.1f}/s sent, {completed_per_s:.1f}/s completed"
        return Check("little", "failed", f"{figures}: the server cannot keep up, {rates}")
    edge = edge_effect(in_flight, latencies_s, window_s)
    if apart <= edge:
        longer_s = window_s * edge / TOLERANCE
        return Check("little", "failed", f"{figures}: too short a window, run {longer_s:.0f} s")
    return Check("little", "failed", f"{figures}: no steady state, the queue grows or shrinks")


def no_steady_state() -> Check:
    """Little's law says nothing about a ramp."""
    return Check("little", "unchecked", "a ramp has no steady state: see its windows")


def edge_effect(in_flight: float, latencies_s: Sequence[float], window_s: float) -> float:
    """How far apart the two sides of the law may be in a steady state, as a share.

    They differ by the ages of what is in flight at the end, less those at the start. Where requests
    run in step, all may be old at one edge and young at the other: one latency, as a request in
    flight has it (long ones are met more often: sum of squares / sum). Where they come at random,
    their number varies as well, by its root; few are worth four standard deviations.
    """
    met_s = sum(latency_s**2 for latency_s in latencies_s) / sum(latencies_s)
    return met_s / window_s * max(1.0, 3 / math.sqrt(in_flight))


def full_concurrency(in_flight: float, concurrency: float, sending_s: float, errors: int) -> Check:
    """A closed loop keeps all its users busy while it sends."""
    if sending_s <= 0:
        return Check("concurrency", "unchecked", "all requests were sent at once")
    figures = f"{in_flight:.2f} requests in flight of {concurrency:.4g}"
    if abs(in_flight - concurrency) <= TOLERANCE * concurrency:
        return Check("concurrency", "ok", figures)
    cause = "users pause after an error" if errors else "the load tester could not keep up"
    return Check("concurrency", "failed", f"{figures}: {cause}")


def same_counts(own: Counts, increase: Counts | None, unsure: int) -> Check:
    """The server has counted our requests, each under its status, and no others.

    `unsure` of ours, in this level or before, ended without an answer: it may count these under any
    status, whenever it is done with them.
    """
    if increase is None:
        return Check("counts", "unchecked", f"the server does not count {METRIC}")
    codes = sorted(own.keys() | increase.keys())
    more = [increase.get(code, 0) - own.get(code, 0) for code in codes]
    figures = "; ".join(
        f"{code}: {own.get(code, 0)}, server {increase.get(code, 0)}" for code in codes
    )
    if min(more, default=0) >= 0 and sum(more) <= unsure:
        return Check("counts", "ok", figures)
    return Check("counts", "failed", f"{figures}: answers were lost, or others use the server")


def generator_lag(
    ticks_late_s: Sequence[float], sends_late_s: Sequence[float], e2e_p50_s: float
) -> Check:
    """The load tester's own delays are small beside what it measures."""
    lags = {"ticker": ticks_late_s, "sends": sends_late_s}
    worst = {name: percentile(sorted(late), 99) for name, late in lags.items() if late}
    if not worst:
        return Check("lag", "unchecked", "too short to tell")
    limit_s = max(LEAST_LAG_S, LAG_SHARE * e2e_p50_s)
    figures = ", ".join(f"{name} late by p99 {late * 1000:.1f} ms" for name, late in worst.items())
    figures += f", {limit_s * 1000:.1f} ms allowed"
    if max(worst.values()) <= limit_s:
        return Check("lag", "ok", figures)
    return Check("lag", "failed", f"{figures}: this machine was too busy to send on time")


def clocks(deliveries_s: Sequence[float]) -> Check:
    """The server accounts for no more time than the client saw."""
    if not deliveries_s:
        return Check("clocks", "unchecked", "the server says nothing about stages")
    least = percentile(sorted(deliveries_s), DELIVERY_PERCENT)
    figures = f"delivery p{DELIVERY_PERCENT} {least * 1000:.1f} ms"
    if least >= LEAST_DELIVERY_S:
        return Check("clocks", "ok", figures)
    return Check("clocks", "failed", f"{figures}: the server's stages exceed what the client saw")

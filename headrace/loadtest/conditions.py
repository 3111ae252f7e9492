"""What a report was measured under, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.loadtest.service_level import Bounds
from headrace.loadtest.slo import Slo

Report = Mapping[str, Any]


def conditions(report: Report) -> Mapping[str, str]:
    load, machine = report["load"], report["machine"]
    return {
        "Load": _levels(load["levels"]),
        "Each level": _limits(load)
        + (f", {load['repeat']} times, the levels in turn" if load["repeat"] > 1 else ""),
        "Requests": _requests(load),
        "API": f"{report['api']}, timeout {load['timeout_s']:g} s",
        "SLO": slo(report),
        **({"Goodput": _goodput(load["goodput"])} if load["goodput"] else {}),
        "Server": "; ".join(_servers(report["levels"])) or "shows no fleet",
        "Load tester": f"{machine['cpu']}, {machine['system']}, Python {machine['python']}",
        "Headrace": report["headrace"],
        "Seed": str(load["seed"]),
    }


def slo(report: Report) -> str:
    return str(Slo(**report["load"]["slo"]))


def _goodput(levels: Mapping[str, Mapping[str, Any]]) -> str:
    return "; ".join(f"{name}: {Bounds(name, **level)}" for name, level in levels.items())


def _levels(levels: Sequence[Mapping[str, Any]]) -> str:
    first = levels[0]
    if first["kind"] == "trace":
        return f"a trace of {first['rows']} requests at {first['speed']:g} x its speed"
    if first["kind"] == "closed":
        return f"closed loop of {_listed(levels, 'concurrency')} users"
    law = f"gamma (cv {first['cv']:g})" if first["arrivals"] == "gamma" else first["arrivals"]
    return f"open loop of {_listed(levels, 'rate')} requests/s, {law} arrivals"


def _listed(levels: Sequence[Mapping[str, Any]], name: str) -> str:
    return ", ".join(_value(level["ramp"], level[name]) for level in levels)


def _value(ramp: Mapping[str, Any] | None, value: float) -> str:
    return f"{ramp['start']:g} rising to {value:g}" if ramp else f"{value:g}"


def _limits(load: Mapping[str, Any]) -> str:
    warmup = f"{load['warmup_s']:g} s of warm-up, then "
    if load["requests"] is not None:
        return f"{warmup}{load['requests']} requests"
    if load["duration_s"] is not None:
        return f"{warmup}{load['duration_s']:g} s"
    return f"{warmup}the rest of the trace"


def _requests(load: Mapping[str, Any]) -> str:
    first = load["levels"][0]
    source = load["dataset"] or load["prompts_file"]
    prompts = f"prompts of {source}" if source else "random words"
    said = [f"the same of {prompts}" if load["repeat_prompts"] else prompts]
    if first.get("prompt_tokens") and not load["prompts_file"]:
        said.append(f"{first['prompt_tokens']} tokens")
    if first.get("max_tokens"):
        said.append(f"answers of at most {first['max_tokens']}")
    return ", ".join([*said, f"temperature {load['temperature']:g}"])


def _servers(levels: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What it showed of itself; more than one where it changed meanwhile."""
    fleets = [level["fleet"] for level in levels if level["fleet"]]
    if not fleets:
        return
    kinds = {(fleet["engine"], fleet["slots"]): None for fleet in fleets if fleet["engine"]}
    for engine, slots in kinds:
        yield f"{engine}, {slots} slots a worker"
    workers = [count for fleet in fleets for count in fleet["workers"]]
    least, most = min(workers), max(workers)
    yield f"{least} workers" if least == most else f"{least} to {most} workers"

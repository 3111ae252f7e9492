"""Server-sent events, as a test reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    name: str
    data: dict[str, Any]
    id: str | None


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """Comments and hints are no events; half an event, before a connection broke, is none."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "event" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
        fields = {}


def indices(events: Iterable[Event]) -> list[int]:
    """Of every token that was told, in the order of telling."""
    told = [event.data for event in events if event.name == "token"]
    return [data["index"] + place for data in told for place in range(len(data["token_ids"]))]


def text(events: Iterable[Event]) -> str:
    return "".join(event.data["text"] for event in events if event.name == "token")

"""A picture of everything that RQ keeps in Redis, in which what differs by nature looks alike.

Every `rq:` key is shown with its type, its time to live and its fields. Times of the last minutes,
ids of executions and texts of errors are named by what they are. What is Headrace's own is left
out: keys that start with `headrace:`, fields that start with `hr_`.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.core.connection import Client

RECENT_S = 120.0
TOLERANCE_S = 3.0
EXECUTION_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
RQ_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, eq=False)
class About:
    """So many seconds from now, give or take what a test takes."""

    seconds: float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, About) and abs(self.seconds - other.seconds) <= TOLERANCE_S

    __hash__ = None  # type: ignore[assignment]  # being about equal is not transitive

    def __str__(self) -> str:
        return f"in {self.seconds:.0f} s"


Shown = str | About
Picture = dict[str, dict[str, Shown]]
"""Key -> field -> what is shown; `(type)` and `(ttl)` are fields of every key."""


@dataclass(frozen=True)
class Difference:
    """A field that looks another way in our picture than in stock RQ's; None where it is not."""

    key: str
    field: str
    stock: Shown | None
    ours: Shown | None

    def __str__(self) -> str:
        return f"{self.key}: {self.field}: stock {_words(self.stock)}, ours {_words(self.ours)}"


def take_picture(redis: Client) -> Picture:
    """Shows all of RQ's keys as they are now."""
    return dict(_show_key(redis, key.decode()) for key in sorted(redis.keys("rq:*")))


def compare(stock: Picture, ours: Picture) -> list[Difference]:
    """All differences; a key that one side lacks is one difference."""
    return [
        difference
        for key in sorted(stock.keys() | ours.keys())
        for difference in _compare_key(key, stock.get(key), ours.get(key))
    ]


def _compare_key(
    key: str, stock: dict[str, Shown] | None, ours: dict[str, Shown] | None
) -> Iterator[Difference]:
    if stock is None or ours is None:
        yield Difference(key, "(key)", _contents(stock), _contents(ours))
        return
    for field in sorted(stock.keys() | ours.keys()):
        if stock.get(field) != ours.get(field):
            yield Difference(key, field, stock.get(field), ours.get(field))


def _contents(fields: Mapping[str, Shown] | None) -> str | None:
    return None if fields is None else ", ".join(f"{name}={fields[name]}" for name in fields)


def _words(shown: Shown | None) -> str:
    return "nothing" if shown is None else str(shown) or "''"


# -- one key ---------------------------------------------------------------------------------------


def _show_key(redis: Client, key: str) -> tuple[str, dict[str, Shown]]:
    kind, ttl = redis.type(key).decode(), redis.ttl(key)
    shown: dict[str, Shown] = {"(type)": kind, "(ttl)": "none" if ttl == -1 else About(ttl)}
    return _anonymous(key), shown | _CONTENTS[kind](redis, key)


def _hash(redis: Client, key: str) -> dict[str, Shown]:
    return _fields(redis.hgetall(key))


def _list(redis: Client, key: str) -> dict[str, Shown]:
    members = [_anonymous(member.decode()) for member in redis.lrange(key, 0, -1)]
    return {"members in order": ", ".join(members)}


def _set(redis: Client, key: str) -> dict[str, Shown]:
    return {"members": ", ".join(sorted(_anonymous(m.decode()) for m in redis.smembers(key)))}


def _sorted_set(redis: Client, key: str) -> dict[str, Shown]:
    return {
        f"score of {_anonymous(member.decode())}": _score(score)
        for member, score in redis.zrange(key, 0, -1, withscores=True)
    }


def _stream(redis: Client, key: str) -> dict[str, Shown]:
    return {
        f"entry {number} {field}": shown
        for number, (_id, fields) in enumerate(redis.xrange(key))
        for field, shown in _fields(fields).items()
    }


def _string(redis: Client, key: str) -> dict[str, Shown]:
    return {"value": _anonymous(redis.get(key).decode())}


_CONTENTS: dict[str, Callable[[Client, str], dict[str, Shown]]] = {
    "hash": _hash,
    "list": _list,
    "set": _set,
    "zset": _sorted_set,
    "stream": _stream,
    "string": _string,
}


# -- one field -------------------------------------------------------------------------------------


def _fields(raw: Mapping[bytes, bytes]) -> dict[str, Shown]:
    return {
        name: _field(name, value)
        for name, value in ((name.decode(), value) for name, value in raw.items())
        if not name.startswith("hr_")
    }


def _field(name: str, value: bytes) -> str:
    match name:
        case "data":
            return json.dumps(json.loads(zlib.decompress(value)), sort_keys=True)
        case "return_value":
            return json.dumps(json.loads(b64decode(value)), sort_keys=True)
        case "exc_string":
            return _error(b64decode(value))
        case "exc_info":
            return _error(value)
        case "total_working_time":
            return "<seconds>" if 0 <= float(value) < RECENT_S else value.decode()
    return _time(value.decode()) or _anonymous(value.decode())


def _error(compressed: bytes) -> str:
    return "<text of an error>" if zlib.decompress(compressed) else "<no text>"


def _time(text: str) -> str | None:
    """How a time is written matters, not which of the last minutes it is."""
    try:
        moment = datetime.strptime(text, RQ_TIME).replace(tzinfo=UTC).timestamp()
        return "<time>" if _is_recent(moment) else None
    except ValueError:
        pass
    try:
        return "<seconds since the epoch>" if _is_recent(float(text)) else None
    except ValueError:
        return None


def _score(score: float) -> Shown:
    if score in (float("inf"), -1.0):
        return f"{score:+.0f}"
    return About(score - time.time())


def _is_recent(moment: float) -> bool:
    return abs(time.time() - moment) <= RECENT_S


def _anonymous(text: str) -> str:
    return EXECUTION_ID.sub("<execution>", text)

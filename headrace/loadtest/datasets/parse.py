"""From the text of `--dataset` to the data set: NAME:[FILE,]KEY=VALUE,…"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import InvalidRequest
from headrace.loadtest.datasets.dataset import Dataset
from headrace.loadtest.datasets.shared_prefix import SharedPrefix
from headrace.loadtest.datasets.sharegpt import ShareGpt
from headrace.loadtest.datasets.turns import Turns

MOST = 1_000_000


def parse_dataset(text: str) -> Dataset:
    """Raises `InvalidRequest`, naming the key, or file, line and field."""
    name, _, rest = text.partition(":")
    match name:
        case "prefix":
            return SharedPrefix(
                **_values(text, rest, {"prefixes": _count, "prefix_tokens": _count})
            )
        case "turns":
            return Turns(**_values(text, rest, CONVERSATION))
        case "sharegpt":
            path, options = _path(rest)
            if not path:
                raise InvalidRequest(f"--dataset: {text!r} names no file: sharegpt:FILE")
            return ShareGpt.read(Path(path), **_values(text, options, CONVERSATION))
    raise InvalidRequest(f"--dataset: {text!r} is none of sharegpt:FILE, prefix: and turns:")


def _path(rest: str) -> tuple[str, str]:
    """The file, and the keys at the end: a file's name may have commas."""
    parts = rest.split(",")
    options: list[str] = []
    while len(parts) > 1 and parts[-1].partition("=")[0] in CONVERSATION:
        options.insert(0, parts.pop())
    return ",".join(parts), ",".join(options)


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError
    return number


Kinds = Mapping[str, Callable[[str], Any]]
CONVERSATION: Kinds = {"turns": _count, "think_s": _seconds}


def _values(text: str, options: str, kinds: Kinds) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in options.split(",") if options else ():
        key, _, value = option.partition("=")
        if key not in kinds or key in found:
            raise InvalidRequest(f"--dataset: {text!r}: give each of {', '.join(kinds)} once")
        try:
            found[key] = kinds[key](value)
        except ValueError as error:
            what = "from 1 to 1,000,000" if kinds[key] is _count else "of seconds, 0 or more"
            raise InvalidRequest(f"--dataset: {text!r}: {key} is a number {what}") from error
    return found

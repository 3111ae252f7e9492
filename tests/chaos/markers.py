"""Markers: words in a prompt that make the engine of these tests misbehave."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_MARK = re.compile(r"#(?P<kind>[a-z]+)@(?P<tokens>\d+)#")


class Misdeed(StrEnum):
    EXIT = "exit"
    """The process ends at once, as if a native library had called `exit`."""

    MEMORY = "memory"
    """The process fills memory and ends as if the kernel had killed it for that."""

    RAISE = "raise"
    """This request fails; the engine says so in its delta."""

    NAN = "nan"
    """The same, with the words of an engine that saw NaN in its logits."""


@dataclass(frozen=True)
class Mark:
    """A misdeed, done once the request has `tokens` of output."""

    misdeed: Misdeed
    tokens: int = 0

    def __str__(self) -> str:
        return f"#{self.misdeed}@{self.tokens}#"


def find_mark(prompt: str) -> Mark | None:
    found = _MARK.search(prompt)
    return Mark(Misdeed(found["kind"]), int(found["tokens"])) if found else None

"""Which Redis or Valkey a server is, and whose data it can read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self, cast

Name = Literal["Redis", "Valkey"]
OLDEST: dict[Name, tuple[int, int]] = {"Redis": (7, 0), "Valkey": (7, 2)}

ANSWER = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)")
TEXT = re.compile(r"(Redis|Valkey) (\d+)\.(\d+)")

SHARED_REDIS, SHARED_VALKEY = (7, 2), (9, 0)
"""Valkey reads what Redis wrote up to 7.2, from which it was forked. From 7.2 on, Redis reads what
Valkey wrote before 9.0, which has a file format of its own."""


@dataclass(frozen=True, slots=True)
class ServerVersion:
    name: Name
    number: tuple[int, int]

    @classmethod
    def of_answer(cls, answer: str) -> Self | None:
        """From what `redis-server --version` prints; None for another kind of server."""
        return cls._found(ANSWER.search(answer))

    @classmethod
    def of_text(cls, text: str) -> Self | None:
        """From what `str` made of it; None for anything else."""
        return cls._found(TEXT.fullmatch(text.strip()))

    @classmethod
    def _found(cls, found: re.Match[str] | None) -> Self | None:
        return found and cls(cast(Name, found[1]), (int(found[2]), int(found[3])))

    def __str__(self) -> str:
        return f"{self.name} {self.number[0]}.{self.number[1]}"

    @property
    def is_recent(self) -> bool:
        return self.number >= OLDEST[self.name]

    def reads(self, writer: ServerVersion) -> bool:
        """Whether this server can read the files of another."""
        if self.name == writer.name:
            return self.number >= writer.number
        if self.name == "Valkey":
            return writer.number <= SHARED_REDIS
        return self.number >= SHARED_REDIS and writer.number < SHARED_VALKEY

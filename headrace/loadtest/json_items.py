"""JSON items from a file of any size, one at a time: a list, or a line each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from headrace.core.errors import InvalidRequest

CHUNK = 1 << 20
MOST_OF_AN_ITEM = 1 << 24
"""Characters of the longest item: what is longer is no conversation."""

TOO_LONG = f"an item is longer than {MOST_OF_AN_ITEM:,} characters"
SPACES = re.compile(r"\s*")
DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Item:
    """A value and the number of the line on which it begins."""

    line: int
    value: Any


def read_items(option: str, path: Path) -> Iterator[Item]:
    """Yields items as they are read. Raises `InvalidRequest`, naming file and line."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            begin = _first_character(file)
            file.seek(0)
            yield from JsonList(file) if begin == "[" else _lines(file)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{option}: {path}: {error}") from error
    except Broken as broken:
        raise InvalidRequest(f"{option}: {path}: line {broken.line}: {broken}") from broken


class Broken(Exception):
    """The text at a line is no JSON, or too long."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _first_character(file: TextIO) -> str:
    while chunk := file.read(CHUNK):
        if bare := chunk.lstrip():
            return bare[0]
    return ""


def _lines(file: TextIO) -> Iterator[Item]:
    number = 0
    while line := file.readline(MOST_OF_AN_ITEM + 1):
        number += 1
        if len(line) > MOST_OF_AN_ITEM:
            raise Broken(number, TOO_LONG)
        if line.strip():
            try:
                yield Item(number, json.loads(line))
            except (ValueError, RecursionError) as error:
                raise Broken(number, _reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


class JsonList:
    """The items of one long list; keeps no more of the text than the item being read."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text, self._at, self._line = "", 0, 1

    def __iter__(self) -> Iterator[Item]:
        self._next()
        self._advance(self._at + 1)  # the bracket
        while (mark := self._next()) != "]":
            if not mark:
                raise Broken(self._line, "the list does not end")
            yield self._item()
            if self._next() == ",":
                self._advance(self._at + 1)
            elif self._next() != "]":
                raise Broken(self._line, "no comma between two items")

    def _next(self) -> str:
        """The next character that is no space, "" at the end; it is not yet taken."""
        while True:
            found = SPACES.match(self._text, self._at)
            self._advance(found.end() if found else self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def _item(self) -> Item:
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                self._read_on(error)
                continue
            if end == len(self._text) and self._read():
                continue  # a number may go on
            item = Item(self._line, value)
            self._advance(end)
            return item

    def _read_on(self, error: Exception) -> None:
        """Reads more, where the item may only be cut off; else it is broken."""
        too_long = len(self._text) - self._at > MOST_OF_AN_ITEM
        if isinstance(error, json.JSONDecodeError) and not too_long:
            position = error.pos - self._at
            if self._read():
                return
            line = self._line + self._text.count("\n", 0, self._at + position)
            raise Broken(line, error.msg) from error
        raise Broken(self._line, TOO_LONG if too_long else _reason(error)) from error

    def _read(self) -> bool:
        chunk = self._file.read(CHUNK)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)

    def _advance(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

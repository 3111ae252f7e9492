"""Regular expressions of ECMA 262, as JSON schemas have them, read into trees.

What no automaton can do is refused by its name: lookaround, references back, word boundaries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headrace.core.json_schema.grammar.automaton import LIMIT, Span
from headrace.core.json_schema.grammar.unheld import Unheld


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of these spans."""

    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """The beginning of the text, or its end."""

    is_end: bool


@dataclass(frozen=True, slots=True)
class Chain:
    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """`most` is None where there is no bound."""

    part: Tree
    least: int
    most: int | None


Tree = Chars | Edge | Chain | Choice | Loop

MOST_REPEATS = 100_000
_COUNTED = re.compile(r"\{([0-9]{1,9})(,([0-9]{1,9})?)?\}")
_HEX = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_LOW_HALF = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
_DIGITS: list[Span] = [(48, 57)]
_WORD: list[Span] = [(48, 57), (65, 90), (95, 95), (97, 122)]
_BLANK: list[Span] = [
    *((9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
]
_NEWLINES: list[Span] = [(10, 10), (13, 13), (0x2028, 0x2029)]
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _BLANK}


def parse(pattern: str) -> Tree:
    """Raises `Unheld` for a pattern that is broken, or that no automaton can match."""
    parser = _Parser(pattern)
    try:
        tree = parser.choice()
    except RecursionError:
        raise Unheld("its groups are nested too deeply") from None
    if not parser.is_over:
        raise parser.broken("a parenthesis that nothing opens")
    return tree


def inverted(spans: list[Span]) -> list[Span]:
    """All characters but these."""
    found, after = [], 0
    for first, last in sorted(spans):
        if first > after:
            found.append((after, first - 1))
        after = max(after, last + 1)
    return [*found, (after, LIMIT - 1)] if after < LIMIT else found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    @property
    def is_over(self) -> bool:
        return self._place >= len(self._text)

    def broken(self, reason: str) -> Unheld:
        return Unheld(f"no regular expression: {reason} (character {self._place + 1})")

    def choice(self) -> Tree:
        parts = [self._chain()]
        while self._take("|"):
            parts.append(self._chain())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _chain(self) -> Tree:
        parts = []
        while not self.is_over and self._text[self._place] not in "|)":
            parts.append(self._repeated(self._one()))
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def _one(self) -> Tree:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return Chars(tuple(self._class()))
        if character == "\\":
            return self._escaped()
        if character in "^$":
            return Edge(character == "$")
        if character == ".":
            return Chars(tuple(inverted(_NEWLINES)))
        if character in "*+?{":
            raise self.broken(f"nothing before {character} to repeat")
        return _char(ord(character))

    def _repeated(self, tree: Tree) -> Tree:
        bounds = self._bounds()
        if bounds is None:
            return tree
        if isinstance(tree, Edge):
            raise self.broken("an anchor cannot be repeated")
        self._take("?")  # lazy or not, the texts are the same
        if not self.is_over and self._text[self._place] in "*+?{":
            raise self.broken("a repeat of a repeat")
        return Loop(tree, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if self.is_over or self._text[self._place] != "{":
            return None
        counted = _COUNTED.match(self._text, self._place)
        if counted is None:
            raise self.broken("a brace that is no number of repeats; escape it")
        self._place = counted.end()
        least = int(counted[1])
        most = None if counted[2] and not counted[3] else int(counted[3] or least)
        if most is not None and most < least:
            raise self.broken("repeats out of order")
        if max(least, most or 0) > MOST_REPEATS:
            raise Unheld(f"more than {MOST_REPEATS} repeats")
        return least, most

    def _group(self) -> Tree:
        if self._take("?"):
            self._open_group()
        tree = self.choice()
        if not self._take(")"):
            raise self.broken("a parenthesis that nothing closes")
        return tree

    def _open_group(self) -> None:
        if self._take(":"):
            return
        if any(self._take(sign) for sign in ("=", "!", "<=", "<!")):
            raise Unheld("lookahead and lookbehind cannot be held")
        name = re.compile(r"<[A-Za-z_$][\w$]*>").match(self._text, self._place)
        if name is None:
            raise self.broken("a kind of group that ECMA 262 does not have")
        self._place = name.end()

    def _escaped(self) -> Tree:
        following = self._text[self._place : self._place + 1]
        if following in ("b", "B"):
            raise Unheld("word boundaries cannot be held")
        if following == "k" or following in tuple("123456789"):
            raise Unheld("references back to a group cannot be held")
        return Chars(tuple(self._escape()))

    def _escape(self) -> list[Span]:
        """What stands behind a backslash."""
        character = self._next()
        if character.lower() in _CLASSES:
            spans = _CLASSES[character.lower()]
            return spans if character.islower() else inverted(spans)
        if character in "pP":
            raise Unheld("classes of Unicode properties cannot be held; name the characters")
        if character in _CONTROLS:
            return _span(_CONTROLS[character])
        if character == "c" and re.match(r"[A-Za-z]", self._text[self._place : self._place + 1]):
            return _span(ord(self._next()) % 32)
        if character in "xu":
            return _span(self._hex())
        if character.isalnum():
            raise self.broken(f"\\{character} means nothing")
        return _span(ord(character))

    def _hex(self) -> int:
        self._place -= 1
        found = _HEX.match(self._text, self._place)
        if found is None:
            raise self.broken("an escape without its digits")
        self._place = found.end()
        code = int(found[1] or found[2] or found[3], 16)
        low = _LOW_HALF.match(self._text, self._place) if 0xD800 <= code < 0xDC00 else None
        if low is not None:
            self._place = low.end()
            return 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        if code >= LIMIT:
            raise self.broken("no code point")
        return code

    def _class(self) -> list[Span]:
        is_inverted = self._take("^")
        spans: list[Span] = []
        while not self._take("]"):
            first = self._member()
            if self._text[self._place : self._place + 1] == "-" and not self._ends_class(1):
                self._place += 1
                last = self._member()
                first = self._range(first, last)
            spans += first
        return inverted(spans) if is_inverted else spans

    def _range(self, first: list[Span], last: list[Span]) -> list[Span]:
        ends = [*first, *last]
        if len(ends) != 2 or any(low != high for low, high in ends) or ends[1] < ends[0]:
            raise self.broken("a range out of order")
        return [(ends[0][0], ends[1][0])]

    def _member(self) -> list[Span]:
        character = self._next()
        if character != "\\":
            return _span(ord(character))
        if self._take("b"):
            return _span(8)
        return _span(ord("-")) if self._take("-") else self._escape()

    def _ends_class(self, ahead: int) -> bool:
        return self._text[self._place + ahead : self._place + ahead + 1] == "]"

    def _next(self) -> str:
        if self.is_over:
            raise self.broken("it ends too early")
        self._place += 1
        return self._text[self._place - 1]

    def _take(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._place):
            return False
        self._place += len(sign)
        return True


def _span(code: int) -> list[Span]:
    return [(code, code)]


def _char(code: int) -> Chars:
    return Chars(((code, code),))

"""Which texts a grammar's rules match: a recogniser of a few lines, for tests only."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.core.json_schema.grammar.rules import (
    Choice,
    Expression,
    Repeat,
    Rule,
    Sequence,
    Text,
)
from headrace.core.json_schema.grammar.writing import ROOT, rules_of_grammar


def writes(schema: str, text: str) -> bool:
    """Whether output that is held to `schema` may be `text`. Raises `Unheld`."""
    return GrammarMatcher(rules_of_grammar(schema)).matches(text)


class GrammarMatcher:
    def __init__(self, rules: Mapping[str, Expression]) -> None:
        self._rules = rules
        self._text = ""
        self._known: dict[tuple[str, int], frozenset[int]] = {}

    def matches(self, text: str) -> bool:
        self._text, self._known = text, {}
        return len(text) in self._ends(Rule(ROOT), 0)

    def _ends(self, rule: Expression, place: int) -> frozenset[int]:
        """Where a match that begins at `place` may end."""
        match rule:
            case Text(text, ()):
                found = self._text.startswith(text, place)
                return frozenset([place + len(text)] if found else [])
            case Text(_, spans):
                code = ord(self._text[place]) if place < len(self._text) else -1
                found = any(first <= code <= last for first, last in spans)
                return frozenset([place + 1] if found else [])
            case Rule(name):
                if (name, place) not in self._known:
                    self._known[name, place] = self._ends(self._rules[name], place)
                return self._known[name, place]
            case Choice(ways):
                return frozenset(end for way in ways for end in self._ends(way, place))
            case Sequence(parts):
                ends = frozenset([place])
                for part in parts:
                    ends = frozenset(end for begin in ends for end in self._ends(part, begin))
                return ends
            case Repeat(part, least, most):
                return self._repeated(part, least, most, place)

    def _repeated(
        self, part: Expression, least: int, most: int | None, place: int
    ) -> frozenset[int]:
        found: set[int] = set()
        ends, count = frozenset([place]), 0
        while ends and (most is None or count <= most) and count <= len(self._text) + least:
            if count >= least:
                found |= ends
            ends = frozenset(end for begin in ends for end in self._ends(part, begin))
            count += 1
        return frozenset(found)

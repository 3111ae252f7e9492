"""From automata to rules of a grammar: one rule a state, but for states that only one leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headrace.core.json_schema.grammar.automaton import Automaton, Span
from headrace.core.json_schema.grammar.rules import (
    Expression,
    Repeat,
    Rule,
    Text,
    choice,
    sequence,
)
from headrace.core.json_schema.grammar.unheld import Work

_SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 34: '"', 92: "\\"}
"""Characters that a string spells with a backslash; other control characters are not written."""

_RAW: tuple[Span, ...] = ((32, 33), (35, 91), (93, 0xD7FF), (0xE000, 0x10FFFF))

STATE_WORK = 16

MOST_INLINE = 16
"""States that one rule writes out."""

Spell = Callable[[Iterable[Span]], list[Expression]]


def spell_digits(spans: Iterable[Span]) -> list[Expression]:
    """Characters as they are."""
    return [Text(spans=tuple(spans))]


def spell_string(spans: Iterable[Span]) -> list[Expression]:
    """Characters as they stand between the quotes of a JSON string, each in one way only."""
    spans = list(spans)
    raw = tuple(
        (max(first, low), min(last, high))
        for first, last in spans
        for low, high in _RAW
        if max(first, low) <= min(last, high)
    )
    letters = [
        (ord(letter), ord(letter))
        for code, letter in sorted(_SHORT.items(), key=lambda item: item[1])
        if any(first <= code <= last for first, last in spans)
    ]
    ways: list[Expression] = [Text(spans=raw)] if raw else []
    if letters:
        ways.append(sequence(Text("\\"), Text(spans=tuple(letters))))
    return ways


def rules_of(
    automaton: Automaton, name: str, spell: Spell, end: Expression, work: Work
) -> dict[str, Expression]:
    """Rules of which `name` matches the automaton's texts, each with `end` behind it."""
    work.spend(sum(automaton.is_live) * (STATE_WORK + len(automaton.cuts)))
    return _Writer(automaton, name, spell, end).rules()


class _Writer:
    def __init__(self, automaton: Automaton, name: str, spell: Spell, end: Expression) -> None:
        self._automaton = automaton
        self._name = name
        self._spell = spell
        self._end = end
        self._waiting = [0] if automaton.is_live[0] else []
        self._named = {0}
        self._before = self._predecessors()

    def rules(self) -> dict[str, Expression]:
        return {self._rule(state): self._ways(state, 0) for state in self._waiting}

    def _predecessors(self) -> dict[int, int]:
        counts: dict[int, int] = {}
        for state, is_live in enumerate(self._automaton.is_live):
            if is_live:
                for after in self._automaton.successors(state):
                    counts[after] = counts.get(after, 0) + (after != state)
        return counts

    def _rule(self, state: int) -> str:
        return f"{self._name}.{state}" if state else self._name

    def _ways(self, state: int, depth: int) -> Expression:
        ways: list[Expression] = []
        loop: list[Expression] = []
        for after, spans in self._automaton.successors(state).items():
            if after == state:
                loop = self._spell(spans)
                continue
            spelled = choice(*self._spell(spans))
            ways.append(sequence(spelled, self._reference(after, depth)))
        if self._automaton.accepting[state]:
            ways.append(self._end)
        rest = choice(*ways)
        return sequence(Repeat(choice(*loop)), rest) if loop else rest

    def _reference(self, state: int, depth: int) -> Expression:
        if self._before[state] == 1 and state and depth < MOST_INLINE:
            return self._ways(state, depth + 1)
        if state not in self._named:
            self._named.add(state)
            self._waiting.append(state)
        return Rule(self._rule(state))

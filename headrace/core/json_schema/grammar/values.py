"""Sets of texts and of numbers: listed one by one, or as an automaton."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import reduce

from headrace.core.json_schema.grammar import automaton, decimals
from headrace.core.json_schema.grammar.automaton import ALL, NONE, Automaton
from headrace.core.json_schema.grammar.unheld import Work

Values = frozenset[str] | frozenset[Decimal] | Automaton

ALL_NUMBERS = decimals.all_numbers(Work())


class Sets:
    """Operations on sets; each member of a set is spelled as its automaton reads it."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def both(self, one: Values, two: Values) -> Values:
        if one is two or one is ALL or one is ALL_NUMBERS:
            return two
        if two is ALL or two is ALL_NUMBERS:
            return one
        if isinstance(one, Automaton) and isinstance(two, Automaton):
            return automaton.both(one, two, self.work)
        if isinstance(one, Automaton):
            one, two = two, one
        assert not isinstance(one, Automaton)
        return frozenset(value for value in one if _has(two, value))  # type: ignore[return-value]

    def both_texts(self, one: Automaton, two: Automaton) -> Automaton:
        return automaton.both(one, two, self.work)

    def either(self, one: Values, two: Values) -> Values:
        for some, more in ((one, two), (two, one)):
            if more is NONE or some is ALL or some is ALL_NUMBERS or some is more:
                return some
        if isinstance(one, frozenset) and isinstance(two, frozenset):
            return one | two  # type: ignore[operator]
        return automaton.either(self.automaton(one), self.automaton(two), self.work)

    def other_texts(self, texts: Values) -> Values:
        return NONE if texts is ALL else automaton.inverse(self.automaton(texts))

    def other_numbers(self, numbers: Values) -> Values:
        if numbers is ALL_NUMBERS:
            return NONE
        return automaton.both(ALL_NUMBERS, automaton.inverse(self.automaton(numbers)), self.work)

    def without(self, some: Automaton, less: Automaton) -> Automaton:
        return automaton.both(some, automaton.inverse(less), self.work)

    def listed(self, texts: Iterable[str]) -> Automaton:
        return automaton.of_texts(texts, self.work)

    def is_empty(self, values: Values) -> bool:
        return values.is_empty if isinstance(values, Automaton) else not values

    def automaton(self, values: Values) -> Automaton:
        if isinstance(values, Automaton):
            return values
        numbers = [value for value in values if isinstance(value, Decimal)]
        if not numbers:
            return self.listed(value for value in values if isinstance(value, str))
        each = [decimals.just(number, self.work) for number in numbers]
        return reduce(lambda one, two: automaton.either(one, two, self.work), each)


def _has(values: Values, value: str | Decimal) -> bool:
    if not isinstance(values, Automaton):
        return value in values
    return values.matches(value if isinstance(value, str) else decimals.text_of(value))

"""Deterministic automata over characters: sets of texts that can be joined, cut and inverted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from headrace.core.json_schema.grammar.unheld import Work

LIMIT = 0x110000
"""One above the last code point."""

Span = tuple[int, int]
"""First and last code point."""


@dataclass(frozen=True, eq=False, slots=True)
class Automaton:
    """State 0 begins. `table[state][i]` follows for characters from `cuts[i]` to the next cut.

    Every state has a successor for every character. `is_live` tells the states from which the end
    of a text can be reached.
    """

    cuts: tuple[int, ...]
    table: tuple[tuple[int, ...], ...]
    accepting: tuple[bool, ...]
    is_live: tuple[bool, ...]

    @property
    def is_empty(self) -> bool:
        return not self.is_live[0]

    def matches(self, text: str) -> bool:
        state = 0
        for character in text:
            state = self.table[state][bisect_right(self.cuts, ord(character)) - 1]
        return self.accepting[state]

    def successors(self, state: int) -> dict[int, list[Span]]:
        """The characters that lead to each live state."""
        found: dict[int, list[Span]] = {}
        ends = (*self.cuts[1:], LIMIT)
        for first, end, after in zip(self.cuts, ends, self.table[state], strict=True):
            if self.is_live[after]:
                spans = found.setdefault(after, [])
                if spans and spans[-1][1] == first - 1:
                    first = spans.pop()[0]
                spans.append((first, end - 1))
        return found


def make(
    cuts: Sequence[int], table: Sequence[Sequence[int]], accepting: Sequence[bool]
) -> Automaton:
    """An automaton that knows which of its states are live."""
    before: list[set[int]] = [set() for _ in table]
    for state, row in enumerate(table):
        for after in row:
            before[after].add(state)
    live = {state for state, accepts in enumerate(accepting) if accepts}
    news = list(live)
    while news:
        for state in before[news.pop()] - live:
            live.add(state)
            news.append(state)
    is_live = tuple(state in live for state in range(len(table)))
    return Automaton(tuple(cuts), tuple(map(tuple, table)), tuple(accepting), is_live)


ALL = make((0,), [[0]], [True])
NONE = make((0,), [[0]], [False])


def combine(
    one: Automaton, two: Automaton, accepts: Callable[[bool, bool], bool], work: Work
) -> Automaton:
    """The texts for which `accepts` says so, given whether `one` and `two` match them."""
    cuts = sorted({*one.cuts, *two.cuts})
    places = [(bisect_right(one.cuts, c) - 1, bisect_right(two.cuts, c) - 1) for c in cuts]
    numbers = {(0, 0): 0}
    pairs, table = [(0, 0)], []
    for a, b in pairs:
        work.spend(4 + len(cuts))
        row = []
        for i, j in places:
            pair = one.table[a][i], two.table[b][j]
            if pair not in numbers:
                numbers[pair] = len(pairs)
                pairs.append(pair)
            row.append(numbers[pair])
        table.append(row)
    return make(cuts, table, [accepts(one.accepting[a], two.accepting[b]) for a, b in pairs])


def both(one: Automaton, two: Automaton, work: Work) -> Automaton:
    if one is ALL or two is ALL:
        return two if one is ALL else one
    return combine(one, two, lambda a, b: a and b, work)


def either(one: Automaton, two: Automaton, work: Work) -> Automaton:
    if one is ALL or two is ALL:
        return ALL
    return combine(one, two, lambda a, b: a or b, work)


def inverse(one: Automaton) -> Automaton:
    return make(one.cuts, one.table, [not accepts for accepts in one.accepting])


def of_lengths(least: int, most: int | None, work: Work) -> Automaton:
    """Texts of `least` to `most` characters."""
    last = least if most is None else max(most + 1, least)
    work.spend(last)
    table = [[min(length + 1, last)] for length in range(last + 1)]
    fits = [least <= length and (most is None or length <= most) for length in range(last + 1)]
    return make((0,), table, fits)


def of_texts(texts: Iterable[str], work: Work) -> Automaton:
    """Just these texts."""
    texts = sorted(texts)
    cuts = sorted({0, *(ord(c) for t in texts for c in t), *(ord(c) + 1 for t in texts for c in t)})
    cuts = [cut for cut in cuts if cut < LIMIT]
    places = {cut: place for place, cut in enumerate(cuts)}
    table, accepting = [[1] * len(cuts), [1] * len(cuts)], [False, False]
    for text in texts:
        state = 0
        for character in text:
            place = places[ord(character)]
            if table[state][place] == 1:
                work.spend(len(cuts))
                table[state][place] = len(table)
                table.append([1] * len(cuts))
                accepting.append(False)
            state = table[state][place]
        accepting[state] = True
    return make(cuts, table, accepting)

"""From regular expressions to automata: Thompson's construction, then that of subsets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from headrace.core.json_schema.grammar import pattern
from headrace.core.json_schema.grammar.automaton import LIMIT, Automaton, Span, make
from headrace.core.json_schema.grammar.unheld import Work

_FREE, _BEGIN, _END = "free", "begin", "end"


def searched(text: str, work: Work) -> Automaton:
    """The texts in which the pattern `text` is found, as JSON Schema wants it.

    Raises `Unheld`.
    """
    anything = pattern.Loop(pattern.Chars(((0, LIMIT - 1),)), 0, None)
    return _determined(pattern.Chain((anything, pattern.parse(text), anything)), work)


def whole(text: str, work: Work) -> Automaton:
    """The texts that the pattern matches from beginning to end."""
    return _determined(pattern.parse(text), work)


class _Graph:
    """States with moves over characters and moves over nothing, some of those only at an edge."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.moves: list[list[tuple[Span, int]]] = []
        self.frees: list[list[tuple[str, int]]] = []

    def state(self) -> int:
        self._work.spend(1)
        self.moves.append([])
        self.frees.append([])
        return len(self.moves) - 1

    def add(self, tree: pattern.Tree, begin: int) -> int:
        """Adds what matches `tree` behind the state `begin`; returns the state behind it."""
        if isinstance(tree, pattern.Chain):
            for part in tree.parts:
                begin = self.add(part, begin)
            return begin
        if isinstance(tree, pattern.Loop):
            return self._loop(tree, begin)
        end = self.state()
        if isinstance(tree, pattern.Chars):
            self.moves[begin] += [(span, end) for span in tree.spans]
        elif isinstance(tree, pattern.Edge):
            self.frees[begin].append((_END if tree.is_end else _BEGIN, end))
        else:
            for part in tree.parts:
                self.frees[self.add(part, self._behind(begin))].append((_FREE, end))
        return end

    def _loop(self, loop: pattern.Loop, begin: int) -> int:
        for _ in range(loop.least):
            begin = self.add(loop.part, begin)
        if loop.most is None:
            around = self._behind(begin)
            self.frees[self.add(loop.part, around)].append((_FREE, around))
            return self._behind(around)
        end = self.state()
        for _ in range(loop.most - loop.least):
            self.frees[begin].append((_FREE, end))
            begin = self.add(loop.part, self._behind(begin))
        self.frees[begin].append((_FREE, end))
        return end

    def _behind(self, state: int) -> int:
        after = self.state()
        self.frees[state].append((_FREE, after))
        return after

    def closure(self, states: Iterable[int], kinds: set[str]) -> frozenset[int]:
        found = set(states)
        news = list(found)
        while news:
            for kind, after in self.frees[news.pop()]:
                if kind in kinds and after not in found:
                    found.add(after)
                    news.append(after)
        self._work.spend(len(found) // 8)
        return frozenset(found)

    def cuts(self) -> list[int]:
        spans = {span for moves in self.moves for span, _after in moves}
        ends = {0, *(first for first, _ in spans), *(last + 1 for _, last in spans)}
        return sorted(end for end in ends if end < LIMIT)


def _determined(tree: pattern.Tree, work: Work) -> Automaton:
    graph = _Graph(work)
    begin = graph.state()
    end = graph.add(tree, begin)
    cuts = graph.cuts()
    first = graph.closure([begin], {_FREE, _BEGIN})
    numbers: dict[frozenset[int], int] = {}
    sets, accepting = [first], []
    table: list[list[int]] = []
    for states in sets:
        is_first = not table
        edges = {_FREE, _END, _BEGIN} if is_first else {_FREE, _END}
        accepting.append(end in graph.closure(states, edges))
        row = []
        for after in _steps(graph, states, cuts, work):
            if after not in numbers:
                numbers[after] = len(sets)
                sets.append(after)
            row.append(numbers[after])
        table.append(row)
    return make(cuts, table, accepting)


def _steps(
    graph: _Graph, states: frozenset[int], cuts: list[int], work: Work
) -> list[frozenset[int]]:
    """The states that follow, for each span of characters between two cuts."""
    work.spend(len(cuts))
    after: list[set[int]] = [set() for _ in cuts]
    for state in states:
        for (first, last), target in graph.moves[state]:
            low, high = bisect_right(cuts, first) - 1, bisect_right(cuts, last)
            work.spend((high - low) // 8)
            for place in range(low, high):
                after[place].add(target)
    closed: dict[frozenset[int], frozenset[int]] = {}
    for targets in map(frozenset, after):
        if targets not in closed:
            closed[targets] = graph.closure(targets, {_FREE})
    return [closed[frozenset(targets)] for targets in after]

"""Rules for the members of an object, in the order of its named keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from headrace.core.json_schema.grammar.rules import (
    DEAD,
    EMPTY,
    Expression,
    Repeat,
    Rule,
    choice,
    sequence,
)
from headrace.core.json_schema.grammar.shapes import NOTHING, Keys, Need, Objects, meet
from headrace.core.json_schema.grammar.unheld import Unheld, Work
from headrace.core.json_schema.grammar.values import Sets

RULE_WORK = 16


def alternatives(objects: Objects, sets: Sets) -> Iterator[Objects]:
    """The same objects without `some`: one alternative for each named key that may be meant.

    Only named keys are considered, since a key could otherwise be given twice.
    """
    missing = [key for key in objects.required if key not in objects.by_name]
    named = (*objects.named, *((key, objects.need(key)) for key in missing))
    objects = replace(objects, named=named)
    if not objects.some:
        yield objects
        return
    keys, need = objects.some[0]
    for key, own in objects.named:
        if keys.matches(key):
            changed = tuple((k, meet(own, need) if k == key else n) for k, n in objects.named)
            required = tuple(dict.fromkeys((*objects.required, key)))
            rest = replace(objects, named=changed, required=required, some=objects.some[1:])
            yield from alternatives(rest, sets)


def written_keys(objects: Objects) -> list[Keys]:
    """Keys that are not named and are written nevertheless.

    Those that a schema merely allows are left out, unless there would be none or too few.
    """
    named = sum(need != NOTHING for _key, need in objects.named)
    if not named or objects.least > named:
        return list(objects.others)
    return [keys for keys in objects.others if keys.is_invited]


class Members:
    """Rules that know how many members have been written, where that matters.

    `pair` writes a named member, `free_pair` is one with another key. Keys that are not named may
    be repeated, so at most one of them counts towards the least number of members.
    """

    def __init__(
        self,
        objects: Objects,
        pair: Callable[[str, Need], Expression],
        free_pair: Expression,
        comma: Expression,
        work: Work,
    ) -> None:
        self._work = work
        self._objects = objects
        self._named = [(key, need) for key, need in objects.named if need != NOTHING]
        self._pair = pair
        self._free_pair = free_pair
        self._comma = comma
        self._required = frozenset(objects.required)
        self._is_impossible = not self._required <= {key for key, _need in self._named}
        room = len(self._named) + (free_pair != DEAD)
        if objects.least > room and free_pair != DEAD:
            raise Unheld(f"more than {room} properties cannot be demanded", "", "minProperties")
        is_bounded = objects.most is not None and (free_pair != DEAD or objects.most < room)
        self._counted = max(objects.least, objects.most or 0 if is_bounded else 0, 1)
        self._most = objects.most if is_bounded else None

    def rules(self, name: str) -> dict[str, Expression]:
        """Rules of which `name` matches all members."""
        if self._is_impossible:
            return {name: DEAD}
        found: dict[str, Expression] = {}
        waiting = [(0, 0)]
        for place, count in waiting:
            label = self._label(name, place, count)
            if label not in found:
                self._work.spend(RULE_WORK)
                found[label], after = self._from(name, place, count)
                waiting += after
        return found

    def _label(self, name: str, place: int, count: int) -> str:
        return f"{name}.{place}.{count}" if place or count else name

    def _from(self, name: str, place: int, count: int) -> tuple[Expression, list[tuple[int, int]]]:
        """The members from a place on, and which rules they refer to."""
        if place == len(self._named):
            return self._others(count), []
        key, need = self._named[place]
        more = (place + 1, min(count + 1, self._counted))
        same = (place + 1, count)
        ways, after = [], []
        if self._most is None or count < self._most:
            comma = self._comma if count else EMPTY
            ways.append(sequence(comma, self._pair(key, need), Rule(self._label(name, *more))))
            after.append(more)
        if key not in self._required:
            ways.append(Rule(self._label(name, *same)))
            after.append(same)
        return choice(*ways) if ways else DEAD, after

    def _others(self, count: int) -> Expression:
        """Members with keys that are not named, behind `count` of those that are."""
        missing = max(0, self._objects.least - count)
        most = None if self._most is None else self._most - count
        ways: list[Expression] = [EMPTY] if missing == 0 else []
        if self._free_pair != DEAD and missing <= 1 and most != 0:
            behind = Repeat(
                sequence(self._comma, self._free_pair), 0, None if most is None else most - 1
            )
            comma = self._comma if count else EMPTY
            ways.append(sequence(comma, self._free_pair, behind))
        return choice(*ways) if ways else DEAD

"""Sets of JSON values, kind by kind, and how they are joined, cut and inverted.

What stands inside arrays and objects is named by a `Need` and looked up later: schemas may refer
to themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from headrace.core.json_schema.grammar.automaton import ALL, NONE, Automaton
from headrace.core.json_schema.grammar.unheld import Unheld
from headrace.core.json_schema.grammar.values import ALL_NUMBERS, Sets, Values

Need = frozenset[tuple[int, bool]]
"""The values that fit each of these schemas, given by number; those with True they must not fit."""

EVERYTHING: Need = frozenset()
NOTHING: Need = frozenset({(-1, False)})


@dataclass(frozen=True, slots=True)
class Arrays:
    """`first` are the needs of the first items, `rest` that of all others."""

    first: tuple[Need, ...] = ()
    rest: Need = EVERYTHING
    least: int = 0
    most: int | None = None
    is_unique: bool = False

    def need(self, place: int) -> Need:
        return self.first[place] if place < len(self.first) else self.rest


@dataclass(frozen=True, slots=True)
class Keys:
    """`is_invited` where a schema speaks of such keys, instead of merely allowing them."""

    names: Automaton
    need: Need = EVERYTHING
    is_invited: bool = False


@dataclass(frozen=True)
class Objects:
    """`others` are needs of keys that are not `named`; what no automaton takes is no key.

    Each of `some` says that at least one such key has to be there.
    """

    named: tuple[tuple[str, Need], ...] = ()
    required: tuple[str, ...] = ()
    others: tuple[Keys, ...] = (Keys(ALL),)
    least: int = 0
    most: int | None = None
    some: tuple[tuple[Automaton, Need], ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Need]:
        return dict(self.named)

    def need(self, key: str) -> Need:
        if key in self.by_name:
            return self.by_name[key]
        return next((keys.need for keys in self.others if keys.names.matches(key)), NOTHING)


PLAIN = frozenset({"null", "true", "false"})


@dataclass(frozen=True, slots=True)
class Shape:
    """`plain` are null, true and false; arrays and objects fit any one of theirs."""

    plain: frozenset[str] = PLAIN
    numbers: Values = ALL_NUMBERS
    texts: Values = ALL
    arrays: tuple[Arrays, ...] = (Arrays(),)
    objects: tuple[Objects, ...] = (Objects(),)


ANYTHING = Shape()
IMPOSSIBLE = Shape(frozenset(), NONE, NONE, (), ())


def meet(*needs: Need) -> Need:
    joined = frozenset().union(*needs)
    return NOTHING if joined >= NOTHING else joined


def _opposites(need: Need) -> list[Need]:
    """Whatever does not fit `need` fits one of these."""
    if need == NOTHING:
        return [EVERYTHING]
    return [frozenset({(number, not is_negated)}) for number, is_negated in sorted(need)]


Way = TypeVar("Way", Arrays, Objects)


class Algebra:
    """`clash` says whether a need is plainly one that no value meets."""

    def __init__(self, sets: Sets, clash: Callable[[Need], bool]) -> None:
        self._sets = sets
        self._work = sets.work
        self._clash = clash

    def both(self, one: Shape, two: Shape) -> Shape:
        self._work.spend(len(one.arrays) * len(two.arrays) + len(one.objects) * len(two.objects))
        return Shape(
            one.plain & two.plain,
            self._sets.both(one.numbers, two.numbers),
            self._sets.both(one.texts, two.texts),
            self._possible_arrays(_both_arrays(a, b) for a in one.arrays for b in two.arrays),
            self._possible_objects(
                self._both_objects(a, b) for a in one.objects for b in two.objects
            ),
        )

    def either(self, one: Shape, two: Shape) -> Shape:
        return Shape(
            one.plain | two.plain,
            self._sets.either(one.numbers, two.numbers),
            self._sets.either(one.texts, two.texts),
            _several((*one.arrays, *two.arrays), Arrays()),
            _several((*one.objects, *two.objects), Objects()),
        )

    def opposite(self, one: Shape) -> Shape:
        """Raises `Unheld` where the opposite has no shape."""
        result = Shape(
            PLAIN - one.plain,
            self._sets.other_numbers(one.numbers),
            self._sets.other_texts(one.texts),
        )
        for arrays in one.arrays:
            result = self.both(result, replace(ANYTHING, arrays=_other_arrays(arrays)))
        for objects in one.objects:
            result = self.both(result, replace(ANYTHING, objects=self._other_objects(objects)))
        return result

    def is_impossible(self, shape: Shape) -> bool:
        """Whether nothing fits, as far as the shape itself shows it."""
        is_empty = self._sets.is_empty
        simple = shape.plain or not is_empty(shape.numbers) or not is_empty(shape.texts)
        return not (simple or shape.arrays or shape.objects)

    def _possible_arrays(self, ways: Iterable[Arrays]) -> tuple[Arrays, ...]:
        possible = []
        for way in ways:
            room = next((n for n, need in enumerate(way.first) if self._clash(need)), None)
            if room is None and way.rest == NOTHING:
                room = len(way.first)
            most = _smaller(way.most, room)
            if most is None or way.least <= most:
                first = way.first if most is None else way.first[:most]
                possible.append(replace(way, most=most, first=first))
        return _several(possible, Arrays())

    def _possible_objects(self, ways: Iterable[Objects]) -> tuple[Objects, ...]:
        possible = [
            way
            for way in ways
            if (way.most is None or max(way.least, len(way.required)) <= way.most)
            and not any(self._clash(way.need(key)) for key in way.required)
            and not any(keys.is_empty for keys, _need in way.some)
        ]
        return _several(possible, Objects())

    def _both_objects(self, one: Objects, two: Objects) -> Objects:
        if one == Objects() or two == Objects():
            return two if one == Objects() else one
        names = dict.fromkeys(name for name, _need in (*one.named, *two.named))
        self._work.spend(8 + len(names))
        others = []
        for some in one.others:
            for more in two.others:
                keys = self._sets.both_texts(some.names, more.names)
                if not keys.is_empty:
                    is_invited = some.is_invited or more.is_invited
                    others.append(Keys(keys, meet(some.need, more.need), is_invited))
        return Objects(
            tuple((name, meet(one.need(name), two.need(name))) for name in names),
            tuple(dict.fromkeys((*one.required, *two.required))),
            tuple(others),
            max(one.least, two.least),
            _smaller(one.most, two.most),
            (*one.some, *two.some),
        )

    def _other_objects(self, one: Objects) -> tuple[Objects, ...]:
        if one.some:
            raise Unheld("the opposite of an opposite of objects cannot be held")
        found = [Objects(((name, NOTHING),)) for name in one.required]
        for name, need in one.named:
            found += [Objects(((name, no),), (name,)) for no in _opposites(need)]
        names = self._sets.listed(name for name, _need in one.named)
        free = self._sets.without(ALL, names)
        for keys in one.others:
            mine = self._sets.without(keys.names, names)
            found += [Objects(some=((mine, no),)) for no in _opposites(keys.need)]
            free = self._sets.without(free, keys.names)
        if not free.is_empty:
            found.append(Objects(some=((free, EVERYTHING),)))
        if one.least:
            found.append(Objects(most=one.least - 1))
        if one.most is not None:
            found.append(Objects(least=one.most + 1))
        return self._possible_objects(found)


def _both_arrays(one: Arrays, two: Arrays) -> Arrays:
    count = max(len(one.first), len(two.first))
    return Arrays(
        tuple(meet(one.need(place), two.need(place)) for place in range(count)),
        meet(one.rest, two.rest),
        max(one.least, two.least),
        _smaller(one.most, two.most),
        one.is_unique or two.is_unique,
    )


def _other_arrays(one: Arrays) -> tuple[Arrays, ...]:
    if one.is_unique:
        raise Unheld("the opposite of uniqueItems cannot be held")
    count = len(one.first)
    found = []
    for place, need in enumerate(one.first):
        for no in _opposites(need):
            first = (*[EVERYTHING] * place, no)
            found.append(Arrays(first, least=place + 1))
    if one.rest == NOTHING:
        found.append(Arrays(least=count + 1))
    elif one.rest != EVERYTHING:
        raise Unheld("the opposite of items cannot be held")
    if one.least:
        found.append(Arrays(most=one.least - 1))
    if one.most is not None:
        found.append(Arrays(least=one.most + 1))
    return tuple(found)


def _smaller(one: int | None, two: int | None) -> int | None:
    return min((most for most in (one, two) if most is not None), default=None)


def _several(ways: Iterable[Way], all_of_them: Way) -> tuple[Way, ...]:
    different = tuple(dict.fromkeys(ways))
    return (all_of_them,) if all_of_them in different else different

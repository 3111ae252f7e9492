"""The grammar of the JSON texts that fit a schema.

Whitespace is one blank at most, behind a colon or a comma: a model cannot fill its limit with
blanks. Numbers have a bounded number of digits for the same reason. Keys stand in the schema's
order.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from headrace.core.json_schema.dialect import complaint_about_form
from headrace.core.json_schema.grammar import decimals
from headrace.core.json_schema.grammar.automaton import Automaton
from headrace.core.json_schema.grammar.document import Document
from headrace.core.json_schema.grammar.keywords.table import RULES
from headrace.core.json_schema.grammar.matching import whole
from headrace.core.json_schema.grammar.objects import Members, alternatives, written_keys
from headrace.core.json_schema.grammar.reading import Reader
from headrace.core.json_schema.grammar.rules import (
    DEAD,
    EMPTY,
    Expression,
    Repeat,
    Rule,
    Text,
    as_text,
    choice,
    pruned,
    sequence,
)
from headrace.core.json_schema.grammar.shapes import Arrays, Need, Objects, Shape
from headrace.core.json_schema.grammar.spelling import rules_of, spell_digits, spell_string
from headrace.core.json_schema.grammar.unheld import Unheld, Work
from headrace.core.json_schema.grammar.values import ALL_NUMBERS, Values

BLANK = Repeat(Text(" "), 0, 1)
QUOTE, COMMA, COLON = Text('"'), sequence(Text(","), BLANK), Text(":")
ANY_NUMBER = (
    f"-?(0|[1-9][0-9]{{0,{decimals.WHOLE_DIGITS - 1}}})"
    rf"(\.[0-9]{{1,{decimals.SURE_DIGITS}}})?([eE][+-]?[0-9]{{1,2}})?"
)
ROOT = "root"

KEPT = 64
"""Grammars that a process remembers."""


def grammar_of(schema: str) -> str:
    """The grammar in EBNF of a schema, given as JSON text.

    Raises `Unheld` where not every text of a grammar would fit, or none would.
    """
    grammar = _remembered(schema)
    if isinstance(grammar, Unheld):
        raise grammar
    return grammar


def rules_of_grammar(schema: str) -> dict[str, Expression]:
    """The same as rules, the first of which is `ROOT`. Raises `Unheld`, and `ValueError`."""
    document = json.loads(schema)
    if (complaint := complaint_about_form(document)) is not None:
        raise Unheld(complaint)
    return _Writer(document).grammar()


@lru_cache(KEPT)
def _remembered(schema: str) -> str | Unheld:
    try:
        return as_text(rules_of_grammar(schema), ROOT)
    except Unheld as error:
        return error.with_traceback(None)
    except ValueError as error:
        return Unheld(f"not JSON: {error}")
    except RecursionError:
        return Unheld("it goes too deep")


class _Writer:
    """Writes a rule for each need that it comes upon, beginning with the document's own."""

    def __init__(self, schema: Any) -> None:
        self._work = Work()
        self._document = Document(schema)
        self._reader = Reader(self._document, RULES, self._work)
        self._rules: dict[str, Expression] = {}
        self._names: dict[Need, str] = {}
        self._waiting: list[Need] = []
        self._written_shapes: dict[Shape, str] = {}
        self._languages: dict[tuple[int, str], tuple[Automaton, str]] = {}

    def grammar(self) -> dict[str, Expression]:
        self._value(frozenset({(0, False)}))
        for need in self._waiting:
            self._work.spend(8)
            self._rules[self._names[need]] = self._once(need)
        rules = pruned(self._rules, ROOT)
        if not rules:
            raise self._nothing_fits()
        return rules

    def _nothing_fits(self) -> Unheld:
        node = self._reader.contradiction
        if node is None or not isinstance(node.schema, dict):
            return Unheld("no value fits it")
        words = ", ".join(node.schema)
        return Unheld(f"no value fits these together: {words:.200}", node.place)

    def _value(self, need: Need) -> Rule:
        if need not in self._names:
            self._names[need] = f"value {len(self._names)}" if self._names else ROOT
            self._waiting.append(need)
        return Rule(self._names[need])

    def _once(self, need: Need) -> Expression:
        """Refers to an earlier rule where another need came to the same shape, as by a `$ref`."""
        shape = self._reader.shape(need)
        known = self._written_shapes.setdefault(shape, self._names[need])
        return self._shape(shape) if known == self._names[need] else Rule(known)

    def _shape(self, shape: Shape) -> Expression:
        return choice(
            *(Text(word) for word in sorted(shape.plain)),
            self._numbers(shape.numbers),
            self._texts(shape.texts),
            *map(self._array, shape.arrays),
            *map(self._object, shape.objects),
        )

    # -- numbers and strings ---------------------------------------------------------------------

    def _numbers(self, values: Values) -> Expression:
        if not isinstance(values, Automaton):
            return choice(*(Text(_number(value)) for value in sorted(values)))
        return DEAD if values.is_empty else self._language(values, "number")

    def _texts(self, values: Values) -> Expression:
        if not isinstance(values, Automaton):
            return choice(*(Text(_quoted(str(value))) for value in sorted(values)))
        return DEAD if values.is_empty else sequence(QUOTE, self._language(values, "string"))

    def _language(self, values: Automaton, kind: str) -> Expression:
        """A string's rule has its closing quote in it."""
        known = self._languages.get((id(values), kind))
        if known is None:
            name = f"{kind} {len(self._languages)}"
            self._languages[id(values), kind] = values, name
            self._rules |= self._written(values, kind, name)
        else:
            name = known[1]
        return Rule(name)

    def _written(self, values: Automaton, kind: str, name: str) -> dict[str, Expression]:
        if kind == "string":
            rules = rules_of(values, name, spell_string, QUOTE, self._work)
        elif values is ALL_NUMBERS:
            anything = whole(ANY_NUMBER, self._work)
            rules = rules_of(anything, name, spell_digits, EMPTY, self._work)
        else:
            spelled = decimals.spelled(values, self._work)
            rules = rules_of(spelled, name, spell_digits, EMPTY, self._work)
        return rules or {name: DEAD}

    # -- arrays ----------------------------------------------------------------------------------

    def _array(self, array: Arrays) -> Expression:
        if array.is_unique and (array.most is None or array.most > 1):
            raise Unheld("that items differ cannot be held", "", "uniqueItems")
        return sequence(Text("["), self._items(array), Text("]"))

    def _items(self, array: Arrays) -> Expression:
        """Items that may miss are written with all behind them, from the last to the first."""
        first = array.first if array.most is None else array.first[: array.most]
        count = len(first)
        most = None if array.most is None else array.most - count
        least = max(0, array.least - count)
        rest = self._value(array.rest)
        if count == 0:
            return self._list(rest, least, most)
        tail: Expression = Repeat(sequence(COMMA, rest), least, most) if most != 0 else EMPTY
        items = [self._item(place, need) for place, need in enumerate(first)]
        sure = min(array.least, count)
        for item in reversed(items[sure:]):
            tail = choice(sequence(item, tail), EMPTY)
        return sequence(*items[:sure], tail)

    def _item(self, place: int, need: Need) -> Expression:
        return sequence(COMMA if place else EMPTY, self._value(need))

    def _list(self, item: Expression, least: int, most: int | None) -> Expression:
        if most == 0:
            return EMPTY
        behind = Repeat(
            sequence(COMMA, item), max(0, least - 1), None if most is None else most - 1
        )
        items = sequence(item, behind)
        return items if least else choice(items, EMPTY)

    # -- objects ---------------------------------------------------------------------------------

    def _object(self, objects: Objects) -> Expression:
        ways = [self._members(way) for way in alternatives(objects, self._reader.sets)]
        return choice(*ways) if ways else DEAD

    def _members(self, objects: Objects) -> Expression:
        name = f"object {len(self._rules)}"
        free_pair = self._free_pair(objects)
        members = Members(objects, self._pair, free_pair, COMMA, self._work)
        self._rules |= members.rules(name)
        return sequence(Text("{"), Rule(name), Text("}"))

    def _pair(self, key: str, need: Need) -> Expression:
        return sequence(Text(_quoted(key)), COLON, BLANK, self._value(need))

    def _free_pair(self, objects: Objects) -> Expression:
        names = self._reader.sets.listed(n for n, _ in objects.named) if objects.named else None
        ways = []
        for keys in written_keys(objects):
            free = self._reader.sets.without(keys.names, names) if names else keys.names
            if not free.is_empty:
                key = self._language(free, "string")
                ways.append(sequence(QUOTE, key, COLON, BLANK, self._value(keys.need)))
        return choice(*ways)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: Any) -> str:
    return decimals.text_of(value)

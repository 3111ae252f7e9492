"""Rules of a context-free grammar, without those that lead nowhere, as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.json_schema.grammar.automaton import Span


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this text, or one character out of `spans`."""

    text: str = ""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Refers to a rule by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    ways: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`most` is None where there is no bound."""

    part: Expression
    least: int = 0
    most: int | None = None


Expression = Text | Rule | Sequence | Choice | Repeat

EMPTY = Sequence(())
DEAD = Choice(())
"""What no text matches."""


def sequence(*parts: Expression) -> Expression:
    flat: list[Expression] = []
    for part in parts:
        flat += part.parts if isinstance(part, Sequence) else [part]
    return flat[0] if len(flat) == 1 else Sequence(tuple(flat))


def choice(*ways: Expression) -> Expression:
    flat: list[Expression] = []
    for way in ways:
        flat += way.ways if isinstance(way, Choice) else [way]
    flat = list(dict.fromkeys(flat))
    return flat[0] if len(flat) == 1 else Choice(tuple(flat))


def pruned(rules: Mapping[str, Expression], root: str) -> dict[str, Expression]:
    """The rules that a text can need, without alternatives that no text ends.

    Empty where no text matches `root`.
    """
    alive = _alive(rules)
    found: dict[str, Expression] = {}
    waiting = [root] if root in alive else []
    for name in waiting:
        if name not in found:
            found[name] = _living(rules[name], alive)
            waiting += _references(found[name])
    return found


def _alive(rules: Mapping[str, Expression]) -> set[str]:
    """The rules that some text matches."""
    users: dict[str, list[str]] = {}
    for name, rule in rules.items():
        for used in _references(rule):
            users.setdefault(used, []).append(name)
    alive: set[str] = set()
    waiting = list(rules)
    while waiting:
        name = waiting.pop()
        if name not in alive and _ends(rules[name], alive):
            alive.add(name)
            waiting += users.get(name, [])
    return alive


def _ends(rule: Expression, alive: set[str]) -> bool:
    """Whether some text matches, as far as the rules known to be `alive` show."""
    match rule:
        case Text():
            return True
        case Rule(name):
            return name in alive
        case Sequence(parts):
            return all(_ends(part, alive) for part in parts)
        case Choice(ways):
            return any(_ends(way, alive) for way in ways)
        case Repeat(part, least):
            return least == 0 or _ends(part, alive)


def _living(rule: Expression, alive: set[str]) -> Expression:
    match rule:
        case Sequence(parts):
            return sequence(*(_living(part, alive) for part in parts))
        case Choice(ways):
            return choice(*(_living(way, alive) for way in ways if _ends(way, alive)))
        case Repeat(part, least, most):
            return Repeat(_living(part, alive), least, most) if _ends(part, alive) else EMPTY
        case _:
            return rule


def _references(rule: Expression) -> list[str]:
    match rule:
        case Rule(name):
            return [name]
        case Sequence(parts) | Choice(parts):
            return [name for part in parts for name in _references(part)]
        case Repeat(part):
            return _references(part)
        case _:
            return []


def as_text(rules: Mapping[str, Expression], root: str) -> str:
    """The grammar in the EBNF that xgrammar reads; its first rule is called root."""
    names = {name: f"r{number}" for number, name in enumerate(rules)} | {root: "root"}
    return "".join(f"{names[name]} ::= {_written(rule, names)}\n" for name, rule in rules.items())


def _written(rule: Expression, names: Mapping[str, str]) -> str:
    match rule:
        case Text(text, ()):
            return _literal(text)
        case Text(_, spans):
            return "[" + "".join(map(_range, spans)) + "]"
        case Rule(name):
            return names[name]
        case Sequence(parts):
            return " ".join(_in_sequence(part, names) for part in parts) or '""'
        case Choice(ways):
            return " | ".join(_written(way, names) for way in ways)
        case Repeat(part, least, most):
            return _grouped(part, names) + _bounds(least, most)


def _in_sequence(part: Expression, names: Mapping[str, str]) -> str:
    return _written(part, names) if isinstance(part, Text | Repeat) else _grouped(part, names)


def _grouped(rule: Expression, names: Mapping[str, str]) -> str:
    """In parentheses, where more than one thing is written."""
    written = _written(rule, names)
    is_one = isinstance(rule, Rule) or (isinstance(rule, Text) and bool(rule.spans))
    return written if is_one else f"({written})"


def _bounds(least: int, most: int | None) -> str:
    signs: dict[tuple[int, int | None], str] = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    bounds = (least, most)
    return signs.get(bounds, f"{{{least},{'' if most is None else most}}}")


def _literal(text: str) -> str:
    """Quoted. Characters that xgrammar prints with two hex digits stand alone.

    It reads what it printed once more, and takes a hex digit behind them for one of theirs.
    """
    parts: list[str] = [""]
    for character in text:
        code = ord(character)
        if code == 0x7F or 0x80 <= code < 0x100:
            parts += [character, ""]
        else:
            parts[-1] += {'"': '\\"', "\\": "\\\\"}.get(character, character)
    return " ".join(f'"{part}"' for part in parts if part) or '""'


def _range(span: Span) -> str:
    first, last = map(_member, span)
    return first if span[0] == span[1] else f"{first}-{last}"


def _member(code: int) -> str:
    character = chr(code)
    if character.isascii() and character.isalnum():
        return character
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"

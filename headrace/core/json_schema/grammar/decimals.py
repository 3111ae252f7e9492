"""Sets of numbers as automata over their decimal spelling, without an exponent.

An automaton takes all spellings of a value or none (1, 1.0, 1.00), but for the length of a
spelling, which `spelled` bounds at the end.
"""

from __future__ import annotations

from decimal import Decimal

from headrace.core.json_schema.grammar.automaton import Automaton, both, inverse, make
from headrace.core.json_schema.grammar.matching import whole
from headrace.core.json_schema.grammar.unheld import Unheld, Work

WHOLE_DIGITS = 19
"""A 64-bit number has no more."""

SURE_DIGITS = 15
"""Two decimals of this many digits never become the same 64-bit float."""

MOST_DIGITS = 40
"""Digits of a bound; what is longer is refused."""

_ANY = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"
_POSITIVE = r"(0|[1-9][0-9]*)(\.[0-9]+)?"


def text_of(number: int | float | Decimal) -> str:
    """The shortest decimal spelling, without an exponent."""
    value = Decimal(str(number))
    if not value.is_finite() or abs(value.adjusted()) > 400:
        raise Unheld("a number beyond what a 64-bit float holds")
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def all_numbers(work: Work) -> Automaton:
    return whole(_ANY, work)


def integers(work: Work) -> Automaton:
    return whole(r"-?(0|[1-9][0-9]*)(\.0+)?", work)


def just(number: Decimal, work: Work) -> Automaton:
    """The spellings of one number."""
    text = text_of(number)
    digits = text.replace(".", r"\.")
    sign = "-?" if text == "0" else ""
    return whole(f"{sign}{digits}{'0*' if '.' in text else '([.]0+)?'}", work)


def at_least(number: Decimal, is_strict: bool, work: Work) -> Automaton:
    """Numbers from a bound on, without the bound itself where it `is_strict`."""
    text = _bound(number)
    if text.startswith("-"):
        beyond = whole(f"-({_from(text[1:], not is_strict)})", work)
        return both(all_numbers(work), inverse(beyond), work)
    pattern = _from(text, is_strict)
    zero = r"|-0(\.0+)?" if text == "0" and not is_strict else ""
    return whole(f"{pattern}{zero}", work)


def at_most(number: Decimal, is_strict: bool, work: Work) -> Automaton:
    above = at_least(number, not is_strict, work)
    return both(all_numbers(work), inverse(above), work)


def _bound(number: Decimal) -> str:
    text = text_of(number)
    if len(text) > MOST_DIGITS:
        raise Unheld(f"a bound of more than {MOST_DIGITS} digits")
    return text


def _from(text: str, is_strict: bool) -> str:
    """A pattern of the unsigned numbers from `text` on."""
    units, _, parts = text.partition(".")
    any_parts = r"(\.[0-9]+)?"
    ways = [f"[1-9][0-9]{{{len(units)},}}{any_parts}"]
    for way, missing in _higher(units):
        ways.append(f"{way}[0-9]{{{missing}}}{any_parts}")
    if parts:
        ways += [rf"{units}\.{way}[0-9]*" for way, _missing in _higher(parts)]
        behind = "[0-9]*[1-9][0-9]*" if is_strict else "[0-9]*"
        ways.append(rf"{units}\.{parts}{behind}")
    else:
        ways.append(rf"{units}\.[0-9]*[1-9][0-9]*" if is_strict else f"{units}{any_parts}")
    return "|".join(ways)


def _higher(digits: str) -> list[tuple[str, int]]:
    """Patterns up to the digit that makes a number higher, and how many digits are missing then."""
    return [
        (f"{digits[:place]}[{int(digit) + 1}-9]", len(digits) - place - 1)
        for place, digit in enumerate(digits)
        if digit != "9"
    ]


def multiples(number: Decimal, work: Work) -> Automaton:
    """Multiples of a positive number, exactly, as decimals have them.

    A state is a remainder and how many digits behind the point were read.
    """
    value = number.normalize()
    scale = max(0, -int(value.as_tuple().exponent))
    divisor = int(value.scaleb(scale))
    phases = scale + 2  # before the point, behind it by 0 to `scale` digits
    work.spend(12 * divisor * phases)
    count = divisor * phases
    cuts = (0, 45, 46, 47, *range(48, 58), 58)
    nothing = count
    table = []
    for phase in range(phases):
        for rest in range(divisor):
            table.append(_row(phase, rest, divisor, scale, nothing))
    table.append([nothing] * len(cuts))
    accepts = [
        rest * 10 ** (scale - max(0, phase - 1)) % divisor == 0
        for phase in range(phases)
        for rest in range(divisor)
    ]
    return both(all_numbers(work), make(cuts, table, [*accepts, False]), work)


def _row(phase: int, rest: int, divisor: int, scale: int, nothing: int) -> list[int]:
    """Successors behind: others, -, point, others, the ten digits, others."""
    point = divisor + rest if phase == 0 else nothing
    digits = []
    for digit in range(10):
        after = phase if phase == 0 else phase + 1
        if after > scale + 1:  # only zeros may follow
            digits.append(phase * divisor + rest if digit == 0 else nothing)
        else:
            digits.append(after * divisor + (rest * 10 + digit) % divisor)
    sign = rest if phase == 0 else nothing
    return [nothing, sign, point, nothing, *digits, nothing]


def spelled(numbers: Automaton, work: Work) -> Automaton:
    """The spellings that are written: integers without a point, and nothing of endless length.

    So few digits leave each number on its own side of a bound once it is a 64-bit float.
    """
    plain = both(numbers, whole(rf"-?(0|[1-9][0-9]{{0,{WHOLE_DIGITS - 1}}})", work), work)
    fractions = both(numbers, inverse(integers(work)), work)
    if fractions.is_empty:
        return plain
    short = whole(_of_digits(SURE_DIGITS), work)
    return both(numbers, short, work)


def _of_digits(most: int) -> str:
    """Numbers of so many digits at most, whole or not."""
    whole_ones = f"0|[1-9][0-9]{{0,{most - 1}}}"
    ways = [f"0[.][0-9]{{1,{most}}}"]
    ways += [f"[1-9][0-9]{{{n - 1}}}[.][0-9]{{1,{most - n}}}" for n in range(1, most)]
    return f"-?({whole_ones}|{'|'.join(ways)})"

"""The size of a pattern: how many characters it has once its repeats are written out."""

from __future__ import annotations

import re

MOST_COPIES = 256
"""A grammar writes out this many copies of a repeat at most, and counts the others."""

_PARTS = re.compile(
    r"""
    (?P<open> \( (?: \? (?: [:=!] | <[=!] | <\w+> | [a-z-]*: ) )? )
    | (?P<close> \) )
    | (?P<bar> \| )
    | (?P<counted> \{ (?P<fewest> [0-9]+ ) (?: , (?P<most> [0-9]* ) )? \} \?? )
    | (?P<loop> [*+?] \?? )
    | (?P<class> \[ (?: \\ (?: . | \Z ) | [^\]\\] )* (?: \] | \Z ) )
    | (?P<escape> \\ (?: u\{[0-9a-f]{1,6}\} | u[0-9a-f]{4} | x[0-9a-f]{2} | c[a-z]
                       | p\{[^}]{0,64}\} | k<\w{0,64}> | . | \Z ) )
    | (?P<character> . )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""Any text is a series of these, so a pattern of another dialect, or a broken one, has a size."""

_MEMBERS = 8
"""Characters of a class, as it is written, that count as one."""


class _Group:
    """Adds up what stands between two parentheses; only the last part may still be repeated."""

    def __init__(self) -> None:
        self._before = 0
        self._last = 0

    @property
    def size(self) -> int:
        return self._before + self._last

    def add(self, size: int) -> None:
        self._before += self._last
        self._last = size

    def repeat(self, copies: int) -> None:
        self._last *= copies


def pattern_size(pattern: str) -> int:
    """Characters and classes of the pattern, each as often as the repeats around it allow.

    Takes time in proportion to the pattern's length, whatever stands in it.
    """
    groups = [_Group()]
    for part in _PARTS.finditer(pattern):
        kind = part.lastgroup
        if kind == "open":
            groups.append(_Group())
        elif kind == "close" and len(groups) > 1:
            closed = groups.pop()
            groups[-1].add(max(1, closed.size))
        elif kind == "counted":
            groups[-1].repeat(_copies(part["fewest"], part["most"]))
        elif kind == "bar":
            groups[-1].add(0)
        elif kind == "class":
            groups[-1].add(1 + len(part[0]) // _MEMBERS)
        elif kind != "loop":
            groups[-1].add(1)
    return sum(group.size for group in groups)


def copies(*bounds: object) -> int:
    """How often a grammar writes out what a repeat with these bounds repeats."""
    numbers = [bound for bound in bounds if isinstance(bound, int | float)]
    return max(1, int(min(MOST_COPIES, max(numbers, default=1))))


def _copies(fewest: str, most: str | None) -> int:
    """Long numbers are cut: Python refuses to read those of thousands of digits."""
    return copies(*(int(digits[:9]) for digits in (fewest, most) if digits))

"""A length of time as people write it: `90`, `30m`, `1h`, `2d`."""

from __future__ import annotations

import re

import click

UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
PATTERN = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(UNITS_S)})", re.ASCII)


def duration(text: str) -> float:
    """Seconds; the type of an option. Raises `click.BadParameter`."""
    match = PATTERN.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no length of time: write 90 (s), 30m, 1h or 2d")
    number, unit = match.groups()
    return float(number) * UNITS_S[unit]

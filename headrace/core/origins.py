"""Origins of web pages, as settings name them and as browsers send them."""

from __future__ import annotations

import re

ANY = "*"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def normal_origin(text: str) -> str:
    """Return the origin as browsers write it: in lower case, without a default port."""
    origin = text.strip().lower()
    scheme = origin.partition("://")[0]
    return origin.removesuffix(DEFAULT_PORTS.get(scheme, "\n"))


def parse_origins(text: str) -> frozenset[str]:
    """Return the origins of a list with commas between.

    Raises `ValueError` for an entry that is neither an origin nor `*`.
    """
    entries = [normal_origin(entry) for entry in text.split(",") if entry.strip()]
    for entry in entries:
        if entry != ANY and not ORIGIN.fullmatch(entry):
            raise ValueError(f"{entry!r} is no origin such as https://chat.example, and not *")
    return frozenset(entries)

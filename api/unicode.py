"""Text that is no Unicode: JSON can spell half a surrogate pair, UTF-8 cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from headrace.core.errors import InvalidRequest
from headrace.core.unicode import is_unicode

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON spells one half. Whole pairs are ordinary characters, and common."""


def require_unicode(text: str, value: Any) -> None:
    """Raises `InvalidRequest` where a text or a name in `value` has half a surrogate pair.

    `value` is the JSON `text`, parsed. The error names the place, as `messages.0.content`.
    """
    if not _SURROGATE.search(text):
        return
    for path, string in _strings(value):
        if not is_unicode(string):
            param = ".".join(path).encode(errors="backslashreplace").decode() or "body"
            raise InvalidRequest(f"{param}: half a surrogate pair is no text", param)


def _strings(value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yields each name and text with its place, in the order of the document."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, str):
            yield path, item
        elif isinstance(item, dict):
            yield from (((*path, name), name) for name in item)
            waiting += [((*path, name), each) for name, each in reversed(item.items())]
        elif isinstance(item, list):
            waiting += [((*path, str(at)), item[at]) for at in reversed(range(len(item)))]

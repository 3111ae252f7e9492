"""Texts of Python that are no Unicode texts."""

from __future__ import annotations


def is_unicode(text: str) -> bool:
    """Returns whether UTF-8 can write a text; it cannot write half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""A pattern that finds tokens in a text as a tokenizer does: the first one, and there the longest.

Python tries the alternatives of a plain `a|b|c` one by one, which takes minutes for thousands of
them. Here each character of a token is compared once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

Trie = dict[str, Any]
"""Characters, and what may follow each; the empty text marks the end of a token."""


def pattern_of(tokens: Iterable[str]) -> str:
    """The source of a regular expression; it finds nothing where there are no tokens."""
    trie: Trie = {}
    for token in tokens:
        place = trie
        for character in token:
            place = place.setdefault(character, {})
        place[""] = {}
    return _source(trie) if trie else "(?!)"


def _source(trie: Trie) -> str:
    run = ""
    while len(trie) == 1 and "" not in trie:
        ((character, trie),) = trie.items()
        run += re.escape(character)
    ways = [re.escape(first) + _source(rest) for first, rest in trie.items() if first]
    if not ways:
        return run
    return f"{run}(?:{'|'.join(ways)}){'?' if '' in trie else ''}"

"""One request of a recorded load."""

from __future__ import annotations

from dataclasses import dataclass

BLOCK_TOKENS = 512
"""Tokens of a block in a trace of Mooncake."""


@dataclass(frozen=True)
class Arrival:
    """`offset_s` from the first row, at the trace's own speed.

    `blocks` are the ids of the prompt's first blocks; prompts with the same ids share tokens.
    """

    offset_s: float
    prompt_tokens: int
    max_tokens: int
    blocks: tuple[int, ...] = ()

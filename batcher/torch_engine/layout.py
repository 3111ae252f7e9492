"""Layout: where the tokens of one forward stand, and what each of them may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

_CALL_TOKENS = 400
"""One more call of the kernel takes about as long as attending to this many tokens of a row."""


@dataclass(frozen=True, slots=True)
class Span:
    """The decoding rows [start, stop) attend to the first `length` tokens of their slots."""

    start: int
    stop: int
    length: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Segment:
    """The tokens [start, stop) of a forward read a prompt on in `slot`, up to its place `length`.

    `mask` [tokens, length] is added to the scores; None where they begin the prompt: each then
    sees itself and those before it.
    """

    start: int
    stop: int
    slot: int
    length: int
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class Layout:
    """One token of every decoding row, row i in slot i, and behind them the prompts' segments.

    `mask` [rows, 1, 1, longest] is added to the scores of the decoding rows.
    """

    spans: Sequence[Span]
    mask: Tensor | None
    segments: Sequence[Segment]


def spans_of(lengths: Sequence[int]) -> list[Span]:
    """Cuts rows of these lengths into runs, where a cut saves more tokens than a call costs."""
    spans: list[Span] = []
    for row, length in enumerate(lengths):
        last = spans[-1] if spans else None
        if last is not None and _join_pays(last, length):
            spans[-1] = Span(last.start, row + 1, max(last.length, length))
        else:
            spans.append(Span(row, row + 1, length))
    return spans


def _join_pays(span: Span, length: int) -> bool:
    joined = (span.rows + 1) * max(span.length, length)
    return joined <= span.rows * span.length + length + _CALL_TOKENS

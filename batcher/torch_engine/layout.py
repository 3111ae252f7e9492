"""Layout: where the tokens of one forward stand, and what each of them may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Span:
    """The decoding rows [start, stop), in slots from `slot` on, attend to `length` tokens each."""

    start: int
    stop: int
    slot: int
    length: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Segment:
    """The tokens [start, stop) of a forward read a prompt on in `slot`, within its first `length`.

    `padding` further queries, of zeros, make up a number that the kernel has met before.
    `mask` [tokens + padding, length] is added to the scores; None where they begin the prompt: each
    then sees itself and those before it.
    """

    start: int
    stop: int
    slot: int
    length: int
    padding: int
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class Layout:
    """One token of every decoding row, and behind them the prompts' segments.

    `mask` [rows, 1, 1, longest] is added to the scores of the decoding rows.
    """

    spans: Sequence[Span]
    mask: Tensor | None
    segments: Sequence[Segment]


def spans_of(lengths: Sequence[int], slots: Sequence[int], call_tokens: int) -> list[Span]:
    """Cuts rows of these lengths into runs of slots, and where that saves more than a call costs.

    A call of the kernel takes about as long as attending to `call_tokens` tokens of a row.
    """
    spans: list[Span] = []
    start = longest = 0
    for row, (length, slot) in enumerate(zip(lengths, slots, strict=True)):
        rows, most = row - start, max(longest, length)
        is_run = slot == slots[start] + rows
        if is_run and (rows + 1) * most <= rows * longest + length + call_tokens:
            longest = most
        else:
            spans.append(Span(start, row, slots[start], longest))
            start, longest = row, length
    if lengths:
        spans.append(Span(start, len(lengths), slots[start], longest))
    return spans

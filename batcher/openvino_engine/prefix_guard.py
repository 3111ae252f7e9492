"""Keeps apart the requests that the pipeline's prefix cache would mix up.

openvino-genai 2026.4 also gives out blocks that are only partly filled. Where two requests get the
same one, or one gets it while its owner goes on filling it, each writes over the other's keys and
values: both go on, with wrong tokens. A partly filled block is found by all the ids up to its last
one, so we can tell beforehand, and let one of the two wait for a step. Whole blocks, which make up
what long prompts share, are never written again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from batcher.openvino_engine.cache_size import BLOCK_TOKENS
from batcher.openvino_engine.row import Row


class PrefixGuard:
    """Knows the ids behind which the pipeline may have left a partly filled block."""

    def __init__(self, blocks: int) -> None:
        self._most = 4 * blocks
        self._tails: OrderedDict[int, None] = OrderedDict()

    def may_enter(self, row: Row, inside: Iterable[Row]) -> bool:
        """Whether `row` can share no partly filled block with those `inside` the pipeline."""
        row.tails = self._tails.keys() & set(_digests(row.first_ids))
        return not any(_may_mix(row, mate) for mate in inside)

    def left(self, row: Row) -> None:
        """The blocks of `row` are free, and may be found by others."""
        ids = row.first_ids + row.brought
        digests = _digests(ids)
        for length in (len(ids) - 1, len(ids)):  # its last id may or may not be in the cache
            if length % BLOCK_TOKENS:
                self._tails.pop(digests[length - 1], None)
                self._tails[digests[length - 1]] = None
        while len(self._tails) > self._most:
            self._tails.popitem(last=False)


def _may_mix(row: Row, mate: Row) -> bool:
    if not mate.is_fresh and not mate.brought:
        return row.first_ids[0] == mate.first_ids[0]
    # A block that a prompt fills to its very end is still found as the partly filled one it was.
    keeps_tails = mate.is_fresh or len(mate.first_ids) % BLOCK_TOKENS == 0
    if keeps_tails and not row.tails.isdisjoint(mate.tails):
        return True
    if mate.is_fresh:
        return False
    cached = mate.first_ids + mate.brought[:-1]  # the newest is cached with the next step
    return len(cached) % BLOCK_TOKENS > 0 and row.first_ids[: len(cached)] == cached


def _digests(ids: Sequence[int]) -> list[int]:
    """One of each beginning of `ids`."""
    digest, digests = 0, []
    for token_id in ids:
        digest = hash((digest, token_id))
        digests.append(digest)
    return digests

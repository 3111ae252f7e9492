"""Seen: the ids that one row has had, and what its penalties take off their scores."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from headrace.core.types import Sampling


class Seen:
    """Each id once, in the order in which they came; `catch_up` adds what came since.

    `presence` and `frequency` are the amounts by which its score falls: 0 for an id that stands in
    the prompt alone, which only the repetition penalty heeds. The arrays are int64 and float32.
    """

    def __init__(self, rules: Sampling, ids: Sequence[int], prompt_tokens: int) -> None:
        self._row_ids = ids
        self._presence = rules.presence_penalty
        # The product with a count is then rounded once, as one of two float32 is.
        self._frequency = array("f", [rules.frequency_penalty])[0]
        prompt = ids[:prompt_tokens] if rules.repetition_penalty != 1 else ()
        counts = {**dict.fromkeys(prompt, 0), **Counter(ids[prompt_tokens:])}
        self._places = {token_id: place for place, token_id in enumerate(counts)}
        self._counts = list(counts.values())
        self._known = len(ids)
        self.ids = array("q", counts)
        self.presence = array("f", (self._presence * (count > 0) for count in self._counts))
        self.frequency = array("f", (self._frequency * count for count in self._counts))

    def catch_up(self) -> None:
        """Counts the ids that the row got since the last time."""
        self._count(self._row_ids[self._known :])
        self._known = len(self._row_ids)

    def _count(self, ids: Iterable[int]) -> None:
        for token_id in ids:
            place = self._places.setdefault(token_id, len(self._counts))
            if place == len(self._counts):
                self._counts.append(0)
                self.ids.append(token_id)
                self.presence.append(0)
                self.frequency.append(0)
            self._counts[place] += 1
            self.presence[place] = self._presence
            self.frequency[place] = self._frequency * self._counts[place]

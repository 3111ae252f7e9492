"""Seen: the ids that one row has had, and how often."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence


class Seen:
    """Each id once, in the order in which they came; lives and grows with its row.

    `ids` are int64. `counts` are float32 and of the output alone: 0 for an id that only stands
    among the first `prompt_tokens` of `row_ids`. These are left out unless `heeds_prompt`.
    """

    def __init__(self, row_ids: Sequence[int], prompt_tokens: int, heeds_prompt: bool) -> None:
        self._row_ids = row_ids
        self._known = len(row_ids)
        prompt = row_ids[:prompt_tokens] if heeds_prompt else ()
        counts = {**dict.fromkeys(prompt, 0), **Counter(row_ids[prompt_tokens:])}
        self._places = {token_id: place for place, token_id in enumerate(counts)}
        self.ids = array("q", counts)
        self.counts = array("f", counts.values())

    def catch_up(self) -> list[int]:
        """Counts the ids that the row got since the last time; returns their places in `ids`."""
        places = []
        for token_id in self._row_ids[self._known :]:
            place = self._places.setdefault(token_id, len(self.ids))
            if place == len(self.ids):
                self.ids.append(token_id)
                self.counts.append(0)
            self.counts[place] += 1
            places.append(place)
        self._known += len(places)
        return places

"""The text that prepared models are compared on."""

from __future__ import annotations

from headrace.core.model_card import ModelCard

MOST_TOKENS = 320

PROSE = """\
The mill stood where the valley narrowed, and everything in it began with the weir. Behind the weir
the river spread into a pond, and from the pond a channel, lined with stone and no wider than a
cart, carried the water along the hillside to the wheel. People called the channel the headrace. On
quiet days it held more water than the wheel could use, so a boy was paid to raise and lower the
gate: too little, and the stones stopped in the middle of a sack; too much, and the floor was wet by
noon. In August the farmers came all at once. They tied their horses to the fence, put their sacks
in a row, and waited their turn, and nobody lost his place when the miller went to sleep, because
each sack had a number chalked on it.

"How long?" asked a woman who had walked from the next village with 40 kg of rye.

The miller looked at the row, counted, and answered: "There are twelve before you. At five minutes
each, come back in an hour."

She did, and her flour was ready. A spring flood once tore the wheel from its shaft; it took three
weeks to mend. Yet when the gate was opened again, the sacks still stood in their row, in the order
in which they had come, and the first one to be ground was the one that had been on the stones.

def wait_minutes(sacks_ahead: int, minutes_each: float = 5.0) -> float:
    return sacks_ahead * minutes_each
"""


def sample_ids(card: ModelCard) -> tuple[int, ...]:
    """The ids of the text, as many as a bounded comparison needs and the model's context holds."""
    ids = card.tokenizer.encode(PROSE).ids
    return tuple(ids[: min(MOST_TOKENS, card.context_tokens)])

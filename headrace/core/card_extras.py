"""Extras of a model card: all that its hash does not cover."""

from __future__ import annotations

import json
from typing import Self

from pydantic import BaseModel, ConfigDict

from headrace.core.sampling_defaults import SamplingDefaults


class CardExtras(BaseModel):
    """Facts about a model that change no job: with other ones the card keeps its hash.

    `special_tokens` are the names and texts that chat templates know; None for a card of a version
    that did not keep them. `chat_error` says why its template renders no conversation.
    """

    model_config = ConfigDict(frozen=True)

    special_tokens: dict[str, str] | None = None
    sampling: SamplingDefaults = SamplingDefaults()
    chat_error: str | None = None

    def encode(self, card_hash: str) -> str:
        """Names the card: an older worker puts another one without touching the extras."""
        return json.dumps({"card": card_hash, "extras": self.model_dump()}, sort_keys=True)

    @classmethod
    def decode(cls, text: str | bytes | None, card_hash: str) -> Self:
        """Defaults where the text is missing or of another card; unknown fields are ignored."""
        fields = json.loads(text) if text else {}
        return cls(**fields["extras"]) if fields.get("card") == card_hash else cls()

"""A probe conversation for a model's chat template, before any caller meets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headrace.core.model_card import ModelCard

USER = {"role": "user", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be brief."}


def probe_chat(card: ModelCard, progress: Callable[[str], None]) -> ModelCard:
    """The card, with the reason where its template takes neither of the plainest conversations.

    Such a model is served all the same, but not for chats.
    """
    if card.chat_template is None:
        return card
    alone, instructed = card.refusal([USER]), card.refusal([SYSTEM, USER])
    if alone and instructed:
        progress(f"chats of {card.name} are refused, as its chat template fails: {alone}")
        return replace(card, extras=card.extras.model_copy(update={"chat_error": alone}))
    if alone:
        progress(f"chats of {card.name} need a system message: {alone}")
    if instructed:
        progress(f"chats of {card.name} take no system message: {instructed}")
    return card

"""How text becomes tokens on this server: two requests tell."""

from __future__ import annotations

import asyncio

from headrace.core.errors import Unavailable
from headrace.loadtest.api import Api, ask
from headrace.loadtest.prompts import Prompt, WordLength, WordPrompts
from headrace.loadtest.record import Record

FEW_WORDS, MANY_WORDS = 8, 40
FEW_CHARACTERS, MANY_CHARACTERS = 100, 1500
CHARACTERS_A_TOKEN = 4.0
"""What is assumed of a server that counts no tokens."""


class Calibration:
    """Asks the server to count; `notes` says where a length is a guess.

    All of it raises `Unavailable` when the server does not answer even these requests.
    """

    def __init__(self, api: Api, seed: int, timeout_s: float) -> None:
        self.notes: list[str] = []
        self._api, self._seed, self._timeout_s = api, seed, timeout_s

    async def words(self) -> WordLength:
        """The length of our own words."""
        prompts = WordPrompts(WordLength(), self._seed)
        few = await self._tokens(prompts.next(FEW_WORDS, max_tokens=1))
        many = await self._tokens(prompts.next(MANY_WORDS, max_tokens=1))
        if few is None or many is None:
            self.notes.append("no usage from the server: a word is taken for a token")
            return WordLength()
        return WordLength.measured((FEW_WORDS, few), (MANY_WORDS, many))

    async def characters_a_token(self, sample: str) -> float:
        """The mean length of a token in texts like this one."""
        few = await self._tokens(_prompt(sample[:FEW_CHARACTERS]))
        many = await self._tokens(_prompt(sample[:MANY_CHARACTERS]))
        longer = len(sample[:MANY_CHARACTERS]) - FEW_CHARACTERS
        if few is None or many is None or longer <= 0 or many <= few:
            self.notes.append(
                f"lengths are guesses: a token is taken for {CHARACTERS_A_TOKEN:g} characters"
            )
            return CHARACTERS_A_TOKEN
        return longer / (many - few)

    async def _tokens(self, prompt: Prompt) -> int | None:
        """None from a server that does not count."""
        record = Record(scheduled=asyncio.get_running_loop().time())
        await ask(self._api, prompt, record, self._timeout_s)
        if record.error is not None:
            said = f": {record.message}" if record.message else ""
            raise Unavailable(
                f"the first request to {self._api.route} failed: {record.error}{said}"
            )
        return record.input_tokens


def _prompt(text: str) -> Prompt:
    return Prompt([{"role": "user", "content": text}], max_tokens=1)

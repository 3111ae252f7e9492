"""How many words make a prompt of so many tokens on this server: two requests tell."""

from __future__ import annotations

import asyncio

from headrace.core.errors import Unavailable
from headrace.loadtest.api import Api, ask
from headrace.loadtest.prompts import WordLength, WordPrompts
from headrace.loadtest.record import Record

FEW_WORDS, MANY_WORDS = 8, 40
NO_USAGE = "no usage from the server: a word is taken for a token"


async def measure_words(api: Api, seed: int, timeout_s: float) -> tuple[WordLength, str | None]:
    """The length of words and a note where it is a guess.

    Raises `Unavailable` when the server does not answer even these requests.
    """
    prompts = WordPrompts(WordLength(), seed)
    few = await _prompt_tokens(api, prompts, FEW_WORDS, timeout_s)
    many = await _prompt_tokens(api, prompts, MANY_WORDS, timeout_s)
    if few is None or many is None:
        return WordLength(), NO_USAGE
    return WordLength.measured((FEW_WORDS, few), (MANY_WORDS, many)), None


async def _prompt_tokens(
    api: Api, prompts: WordPrompts, words: int, timeout_s: float
) -> int | None:
    record = Record(scheduled=asyncio.get_running_loop().time())
    await ask(api, prompts.next(words, max_tokens=1), record, timeout_s)
    if record.error is not None:
        said = f": {record.message}" if record.message else ""
        raise Unavailable(f"the first request to {api.route} failed: {record.error}{said}")
    return record.input_tokens

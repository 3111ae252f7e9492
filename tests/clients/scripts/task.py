"""What each client is asked to do, and how it tells what it got."""

import json
import os
from typing import Literal

from pydantic import BaseModel

BASE_URL, MODEL = os.environ["BASE_URL"], os.environ["MODEL"]
KEY = "none"
QUESTION = "Which river is longer, the Rhine or the Danube?"
MESSAGES = [{"role": "user", "content": QUESTION}]
RULES = {"max_tokens": 48, "temperature": 0}


class River(BaseModel):
    name: Literal["Rhine", "Danube"]
    is_longer: bool


def tell(chat: str | None, stream: list[str | None], structured: BaseModel) -> None:
    pieces = [piece for piece in stream if piece]
    print(json.dumps({"chat": chat, "stream": pieces, "structured": structured.model_dump()}))

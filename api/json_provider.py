"""How answers are written as JSON."""

from __future__ import annotations

from typing import Any

import orjson
from flask.json.provider import DefaultJSONProvider


class JsonProvider(DefaultJSONProvider):
    """Writes with orjson, which takes a tenth of the time of Python's own."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        try:
            return orjson.dumps(obj).decode()
        except TypeError:  # half a surrogate pair, or a number beyond 64 bits, that an error quotes
            return super().dumps(obj, **kwargs)

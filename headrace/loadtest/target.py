"""The server under load, over one session of kept-alive connections without a bound."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from headrace.core.errors import InvalidRequest, Unavailable
from headrace.core.proxies import proxy_of
from headrace.core.urls import fault_of

LOOK_S = 10.0
"""Longest wait for what is no load: models, metrics, jobs that have ended."""

KEPT_ALIVE_S = 1.0
"""Less than gunicorn's 2 s: a connection that the server closes meanwhile would be an error."""


@dataclass(frozen=True)
class Address:
    """`root` has no `/v1`; nothing of it is secret."""

    root: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises `InvalidRequest` for what is no URL of HTTP."""
        try:
            parts = urlsplit(url)
            is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            raise InvalidRequest(f"--url: {fault_of(url)}") from None
        if not is_usable:
            raise InvalidRequest("--url: begins with http:// or https:// and names a host")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise InvalidRequest("--url: no user, query or fragment; a key goes into --api-key")
        root = url.strip().rstrip("/").removesuffix("/v1")
        return cls(root)


class Target:
    def __init__(self, session: ClientSession, address: Address) -> None:
        self.session = session
        self.root = address.root

    async def get(self, path: str) -> Any:
        """Raises `Unavailable` where nothing, or no JSON, is the answer."""
        try:
            url, limit = f"{self.root}{path}", ClientTimeout(total=LOOK_S)
            async with self.session.get(url, timeout=limit) as answer:
                answer.raise_for_status()
                return await answer.json(content_type=None)
        except (ClientError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"no API answers at {self.root}{path}: {reason}") from error

    async def answers(self) -> bool:
        """Whether there is still a server, whatever it says."""
        try:
            limit = ClientTimeout(total=LOOK_S)
            async with self.session.get(f"{self.root}/v1/models", timeout=limit):
                return True
        except (ClientError, TimeoutError):
            return False

    async def text(self, path: str) -> str | None:
        """None where there is no such page."""
        try:
            url, limit = f"{self.root}{path}", ClientTimeout(total=LOOK_S)
            async with self.session.get(url, timeout=limit) as answer:
                return await answer.text() if answer.ok else None
        except (ClientError, TimeoutError, ValueError):
            return None

    async def first_model(self) -> str:
        """Raises `Unavailable` where the server names no model."""
        models = await self.get("/v1/models")
        try:
            return str(models["data"][0]["id"])
        except (LookupError, TypeError) as error:
            raise Unavailable(f"{self.root}/v1/models names no model; give --model") from error


@asynccontextmanager
async def open_target(address: Address, api_key: str | None) -> AsyncIterator[Target]:
    headers: Mapping[str, str] = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=KEPT_ALIVE_S),
        timeout=ClientTimeout(total=None),
        headers=headers,
        proxy=proxy_of(address.root),
    ) as session:
        yield Target(session, address)

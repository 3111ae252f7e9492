"""An API key: who it stands for, what it may do, and how much of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

SECRET_BYTES = 32
KEY = re.compile(r"hr_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
"""Its id and its secret: the prefix lets people and scanners recognise a key that leaked."""

TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What tenants may be called: their names become parts of keys of Redis."""


class Scope(StrEnum):
    """What a caller may do. Who may `admin` may do everything, with every tenant's jobs.

    `fleet:read` opens `/v1/fleet` alone: numbers, names of workers and reasons, but no job.
    """

    SUBMIT = "submit"
    READ = "read"
    FLEET = "fleet:read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one key; None: no limit.

    Tokens are prompt and `max_tokens` of what is submitted. `running_jobs` and `queue_share`, a
    share of the bounds of the queue, hold for what the key's tenant has waiting and running.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    running_jobs: int | None = None
    queue_share: float | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """All of a key but its text, of which only the digest is kept.

    `created` and `expires` are Redis TIME; None: it never expires.
    """

    id: str
    digest: str
    name: str
    tenant: str
    scopes: frozenset[Scope]
    limits: Limits
    created: float
    expires: float | None = None

    def is_text(self, text: str) -> bool:
        """Whether this is the key's text. Takes as long for a wrong one."""
        return hmac.compare_digest(self.digest, digest_of(text))

    def encode(self) -> str:
        return json.dumps(asdict(self) | {"scopes": sorted(self.scopes)})

    @classmethod
    def decode(cls, text: bytes) -> Self:
        fields: Mapping[str, Any] = json.loads(text)
        limits, scopes = Limits(**fields["limits"]), frozenset(map(Scope, fields["scopes"]))
        return cls(**{**fields, "limits": limits, "scopes": scopes})


def new_text() -> str:
    """A key as its owner sends it: 256 random bits behind a random id."""
    return f"hr_{secrets.token_hex(6)}_{secrets.token_urlsafe(SECRET_BYTES)}"


def id_of(text: str) -> str | None:
    """The id in a key's text; None for what can be no key."""
    match = KEY.fullmatch(text)
    return match and match[1]


def digest_of(text: str) -> str:
    """SHA-256 without salt or stretching: nobody can guess 256 random bits, however fast."""
    return hashlib.sha256(text.encode()).hexdigest()

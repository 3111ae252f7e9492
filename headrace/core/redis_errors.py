"""What an error of Redis means: whether it passes by itself, and its cause in words.

The server puts a code in front of each error (`READONLY You can't write against …`). Nearly all
codes name a state of the server: it fails over, loads its data, lacks memory, disk or replicas, or
refuses this user for now. Such a state ends without our doing, so whoever meets it waits. The few
codes in `FAULTS` blame the call: the server would refuse the same call again.
"""

from __future__ import annotations

import re

from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    RedisError,
    ResponseError,
    TimeoutError,
)

FAULTS = frozenset(
    ("", "ERR", "BUSYGROUP", "BUSYKEY", "CROSSSLOT", "NOGROUP", "NOPROTO", "WRONGTYPE")
)
"""Codes of errors that the call is to blame for; "" is an error without a code."""

PASSING_TEXTS = ("Script killed by user", "max number of clients", "cluster support disabled")
"""Texts of `ERR` errors that describe a state of the server as well."""

CAUSES = {
    "BUSY": "is busy with a script that does not end",
    "CLUSTERDOWN": "belongs to a cluster that is down",
    "INPROG": "is in the middle of a failover",
    "LOADING": "is still loading its data",
    "MASTERDOWN": "is a replica that has lost its master",
    "MISCONF": "cannot write its log: its disk may be full",
    "MOVED": "belongs to a cluster, and Headrace needs a Redis outside of one",
    "NOAUTH": "wants a user and a password",
    "NOPERM": "denies its user a right",
    "NOREPLICAS": "has too few replicas to accept writes (min-replicas-to-write)",
    "OOM": "is out of memory (maxmemory)",
    "READONLY": "is a read-only replica: a failover may be under way",
    "TRYAGAIN": "moves its data to another server",
    "UNBLOCKED": "has become a replica: a failover may be under way",
    "WRONGPASS": "refuses the user or the password of REDIS_URL",
}
"""By the server's code, what is the matter with it."""

_CODE = re.compile(r"[A-Z]{2,}\b")
_INNER_CODE = re.compile(rf"\b(?:{'|'.join(CAUSES)})\b")
_WRAPPERS = ("", "ERR", "EXECABORT")
"""Codes whose text may hold the code of the true cause."""

_DENIED_IN_SCRIPT = ("ACL failure in script", "The user executing the script")
"""What Valkey and Redis say, with the code ERR, where an ACL denies a script's call."""

_ANNOTATION = " caused error: "
"""What redis-py puts in front of an error inside a pipeline, behind the command."""


def error_code(error: RedisError) -> str:
    """Returns the server's code of an error, or "" where the server did not send one."""
    if not isinstance(error, ResponseError):
        return error.status_code or ""
    # A script that passes an error on has the server's words, and not its class.
    text = words_of(error)
    if any(words in text for words in _DENIED_IN_SCRIPT):
        return "NOPERM"
    leading = _CODE.match(text)
    code = error.status_code or (leading[0] if leading else "")
    inner = _INNER_CODE.search(text) if code in _WRAPPERS else None
    return inner[0] if inner else code


def passes_by_itself(error: RedisError) -> bool:
    """Returns whether the server may accept the same call later.

    It is away, or in a state that ends: see the head of this module.
    """
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if not isinstance(error, ResponseError):
        return False
    if error_code(error) not in FAULTS:
        return True
    return any(text in str(error) for text in PASSING_TEXTS)


def words_of(error: RedisError) -> str:
    """Returns what the server said, without the command: that may hold a prompt or a key."""
    return str(error).rpartition(_ANNOTATION)[2]


def cause_of(error: RedisError) -> str:
    """Describes for callers what is the matter with the server: `is out of memory …`."""
    code = error_code(error)
    if code == "NOPERM":
        return f"{CAUSES['NOPERM']}: {_denied(words_of(error))} (docs/operations.md#users-of-redis)"
    if code in CAUSES:
        return CAUSES[code]
    if isinstance(error, AuthenticationError):
        return CAUSES["WRONGPASS"]
    if isinstance(error, ResponseError):
        return f"refuses the call ({code})" if code else "refuses the call"
    return "does not answer"


def _denied(text: str) -> str:
    """Names what the ACL denies. The server names a command, but neither a key nor a channel."""
    command = re.search(r"'([\w|]+)' command|command or subcommand script: ([\w|]+)", text)
    if command is not None:
        return f"the command {(command[1] or command[2]).upper()}"
    if "channel" in text:
        return "a channel; it needs &rq:* and &headrace:*"
    if "key" in text:
        return "a key; it needs ~rq:* and ~headrace:*"
    return "a command"

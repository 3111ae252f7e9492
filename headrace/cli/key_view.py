"""Shows API keys, without their texts but for a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from headrace.cli.record_view import local_time, table_of
from headrace.cli.terminal import console, show_json
from headrace.core.api_key import ApiKey, Limits

LIMITS = {
    "requests_per_minute": "requests/min",
    "tokens_per_minute": "tokens/min",
    "running_jobs": "jobs",
    "queue_share": "of the queue",
}


def show_new_key(text: str, key: ApiKey, as_json: bool) -> None:
    """The key alone on stdout, so that a script may take it from there."""
    if as_json:
        show_json({"key": text} | key_json(key))
        return
    click.echo(text)
    scopes = ", ".join(sorted(key.scopes))
    note = f"key {key.id} of tenant {key.tenant} may {scopes}; it is shown only now"
    click.secho(note, dim=True, err=True)


def show_keys(keys: Sequence[ApiKey], as_json: bool) -> None:
    if as_json:
        show_json({"object": "list", "data": [key_json(key) for key in keys]})
    elif keys:
        rows = [_cells(key) for key in keys]
        console().print(table_of(rows, {"created", "limits"}, console().width))
    else:
        console().print("no keys")


def key_json(key: ApiKey) -> dict[str, Any]:
    """Times are Redis TIME, s since the epoch. Without the digest: nobody needs it."""
    return {
        "id": key.id,
        "object": "api_key",
        "name": key.name,
        "tenant": key.tenant,
        "scopes": sorted(key.scopes),
        "limits": asdict(key.limits),
        "created_at": key.created,
        "expires_at": key.expires,
    }


def _cells(key: ApiKey) -> dict[str, Text]:
    return {
        "id": Text(key.id),
        "name": Text(key.name),
        "tenant": Text(key.tenant),
        "scopes": Text(" ".join(sorted(key.scopes))),
        "expires": Text(local_time(key.expires) or "never"),
        "created": Text(local_time(key.created)),
        "limits": Text(_limits(key.limits)),
    }


def _limits(limits: Limits) -> str:
    given = asdict(limits).items()
    return ", ".join(f"{value} {LIMITS[name]}" for name, value in given if value is not None)

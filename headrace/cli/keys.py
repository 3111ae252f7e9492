"""`headrace keys`: who may use the API, what for, and how much."""

from __future__ import annotations

from typing import Any

import click

from headrace.cli.duration import duration
from headrace.cli.setting_option import setting_options, settings_from
from headrace.core.api_key import TENANT, Scope

EPILOG = """\b
For example:
  headrace keys create --name alice
  headrace keys create --name ci --scope submit --requests-per-minute 60 --expires-in 30d
  headrace keys list
  headrace keys revoke 3f9c2a7b1d04
"""
COUNT = click.IntRange(1)
LONGEST_NAME = 100


@click.group(epilog=EPILOG)
def keys() -> None:
    """Make, list and revoke the keys of the API.

    As soon as there is one, the API answers nobody without. They stand in the Redis of REDIS_URL,
    or of the `headrace up` that runs on the state folder.
    """


@keys.command(epilog="\b\nFor example:\n  headrace keys create --name alice --running-jobs 20")
@click.option("--name", default="", help="What people call it.  [default: its id]")
@click.option("--tenant", help="Whose jobs it may see and make.  [default: its name]")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=(Scope.SUBMIT.value, Scope.READ.value),
    show_default=True,
    help="What it may do; may be repeated. `admin` may do everything, with all tenants' jobs.",
)
@click.option("--requests-per-minute", type=COUNT, help="Jobs that it may submit a minute.")
@click.option(
    "--tokens-per-minute", type=COUNT, help="Prompt tokens and max_tokens of these, together."
)
@click.option("--running-jobs", type=COUNT, help="Jobs of its tenant, waiting and running.")
@click.option(
    "--queue-share",
    type=click.FloatRange(0, 1, min_open=True),
    help="The part of the queue's bounds that these may be: 0.25",
)
@click.option("--expires-in", "expires_in_s", type=duration, help="12h, 30d.  [default: never]")
@setting_options("redis_url", "state_dir")
@click.option("--json", "as_json", is_flag=True, help="Print all of it, the key as well.")
def create(
    name: str,
    tenant: str | None,
    scopes: tuple[str, ...],
    expires_in_s: float | None,
    redis_url: str | None,
    state_dir: str | None,
    as_json: bool,
    **limits: Any,
) -> None:
    """Make a key and print it: now, and never again.

    Only its digest is kept.
    """
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise click.UsageError(f"--name: up to {LONGEST_NAME} printable characters")
    if (tenant or name) and not TENANT.fullmatch(tenant or name):
        raise click.UsageError("--tenant: up to 64 letters, digits and ._- (its default: --name)")
    settings = settings_from({"redis_url": redis_url, "state_dir": state_dir})

    from headrace.cli.key_store import open_key_store
    from headrace.cli.key_view import show_new_key
    from headrace.core.api_key import Limits

    with open_key_store(settings) as store:
        text, key = store.create(
            name, frozenset(map(Scope, scopes)), tenant, Limits(**limits), expires_in_s
        )
    show_new_key(text, key, as_json)


@keys.command("list", epilog="\b\nFor example:\n  headrace keys list --json")
@setting_options("redis_url", "state_dir")
@click.option("--json", "as_json", is_flag=True, help="Print all that is known of them.")
def list_(as_json: bool, **options: str | None) -> None:
    """List the keys that were not revoked, the newest first."""
    settings = settings_from(options)

    from headrace.cli.key_store import open_key_store
    from headrace.cli.key_view import show_keys

    with open_key_store(settings) as store:
        show_keys(store.list(), as_json)


@keys.command(epilog="\b\nFor example:\n  headrace keys revoke 3f9c2a7b1d04")
@click.argument("key_ids", metavar="ID...", nargs=-1, required=True)
@setting_options("redis_url", "state_dir")
def revoke(key_ids: tuple[str, ...], **options: str | None) -> None:
    """Revoke keys: within a few seconds they open nothing.

    Their tenants' jobs go on. Without any key left the API answers nobody, until one is made.
    """
    settings = settings_from(options)

    from headrace.cli.key_store import open_key_store
    from headrace.cli.one_by_one import one_by_one

    with open_key_store(settings) as store:

        def revoke_one(key_id: str) -> None:
            store.revoke(key_id)
            click.echo(f"{key_id} revoked")

        one_by_one(key_ids, revoke_one)
        if not store.list():
            click.echo("no key is left: the API answers nobody", err=True)

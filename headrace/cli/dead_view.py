"""Shows dead letters, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from headrace.cli.api_client import ApiClient, Json, path_of
from headrace.cli.one_by_one import one_by_one
from headrace.cli.record_view import local_time, show_record, table_of
from headrace.cli.terminal import console, harmless, show_json

DEAD = "/v1/dead"
WIDE_ONLY = frozenset({"batch", "replayed", "error"})


def show_letters(client: ApiClient, limit: int, as_json: bool) -> None:
    answer = client.get(DEAD, limit=limit)
    if as_json:
        show_json(answer)
    elif answer["data"]:
        console().print(letters_table(answer["data"], console().width))
    else:
        console().print("no dead letters")


def show_letter(client: ApiClient, job_id: str, as_json: bool) -> None:
    show_record(client.get(path_of(DEAD, job_id)), as_json)


def replay_letters(client: ApiClient, job_ids: Sequence[str], force: bool, as_json: bool) -> None:
    """A line is `ID -> NEW ID`; the job can be followed with `headrace jobs`."""

    def replay(job_id: str) -> None:
        job = client.post(f"{path_of(DEAD, job_id)}/replay", {"force": force})
        if as_json:
            show_json(job)
        else:
            click.echo(f"{job_id} -> {job['id']} {job['status']}")

    one_by_one(job_ids, replay)


def purge_letters(client: ApiClient, job_ids: Sequence[str], as_json: bool) -> None:
    def purge(job_id: str) -> None:
        client.delete(path_of(DEAD, job_id))
        if not as_json:
            click.echo(f"{job_id} purged")

    one_by_one(job_ids, purge)
    if as_json:
        show_json({"purged": len(job_ids)})


def purge_old_letters(client: ApiClient, age_s: float, as_json: bool) -> None:
    answer = client.delete(DEAD, older_than_s=age_s)
    if as_json:
        show_json(answer)
    else:
        click.echo(f"{answer['purged']} purged")


def letters_table(letters: Sequence[Json], width: int) -> Table:
    return table_of([_cells(letter) for letter in letters], WIDE_ONLY, width)


def _cells(letter: Json) -> dict[str, Text]:
    return {
        "id": Text(letter["id"]),
        "reason": Text(letter["reason"], style="red"),
        "ended": Text(local_time(letter["ended_at"])[5:]),
        "tries": Text(str(letter["attempts"])),
        "deaths": Text(str(letter["deaths"])),
        "batch": Text("" if letter["batch_size"] is None else str(letter["batch_size"])),
        "replayed": Text("yes" if letter["replayed_as"] else ""),
        "error": Text(harmless(letter["error"]).partition("\n")[0]),
    }

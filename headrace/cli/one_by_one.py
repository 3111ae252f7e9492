"""The same for each of many ids, up to the first that cannot be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from headrace.core.errors import HeadraceError


def one_by_one(job_ids: Sequence[str], act: Callable[[str], None]) -> None:
    """Says which ids are left before it raises what `act` did."""
    for place, job_id in enumerate(job_ids):
        try:
            act(job_id)
        except HeadraceError:
            if len(job_ids) > 1:
                click.echo(f"not done: {' '.join(job_ids[place:])}", err=True)
            raise

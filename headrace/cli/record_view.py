"""Shows records of the API: many as a table, one as a list of its fields."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from headrace.cli.api_client import Json
from headrace.cli.terminal import console, harmless, show_json

WIDE = 110
"""Columns of a terminal that has room for all of a record; narrower ones show what must be read."""

ID = "id"


def table_of(rows: Sequence[dict[str, Text]], wide_only: Collection[str], width: int) -> Table:
    """A row a record; `wide_only` names the columns that need a wide terminal.

    Where it is too narrow all the same, any column is cut but the id: that is what one copies.
    """
    columns = [name for name in rows[0] if width >= WIDE or name not in wide_only]
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(_one_line(Text(name)), no_wrap=name == ID)
    for row in rows:
        table.add_row(*(_one_line(row[name]) for name in columns))
    return table


def _one_line(cell: Text) -> Text:
    """Cut where it is too long. For rich only a column that may wrap may shrink."""
    cell.no_wrap, cell.overflow = True, "ellipsis"
    return cell


def show_record(record: Json, as_json: bool) -> None:
    if as_json:
        show_json(record)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _leaves(record):
        shown = local_time(value) if name.endswith("_at") else str(value)
        table.add_row(Text(name, style="dim"), Text(harmless(shown)))
    console().print(table)


def local_time(epoch_s: object) -> str:
    if not isinstance(epoch_s, int | float):
        return ""
    return datetime.fromtimestamp(epoch_s).strftime("%Y-%m-%d %H:%M:%S")


def _leaves(value: Json, path: str = "") -> Iterator[tuple[str, object]]:
    """Each value that is set, named by its dotted path; entries of a list are counted from 1."""
    for name, inner in value.items():
        if isinstance(inner, list):
            inner = {str(place): entry for place, entry in enumerate(inner, start=1)}
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{path}{name}.")
        elif inner is not None:
            yield f"{path}{name}", inner

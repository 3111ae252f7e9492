"""A table before it is drawn, for a terminal, for Markdown or for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

INVALID, UNSUPPORTED, BY_SERVER = "!", "*", "~"
Row = Mapping[str, str]


@dataclass(frozen=True)
class Sheet:
    """Every row has the same columns; the first is `level`."""

    title: str
    rows: Sequence[Row]

    def drawn(self) -> Table:
        table = Table(title=self.title, title_justify="left", title_style="bold", box=None)
        table.padding, table.pad_edge = (0, 1, 0, 0), False
        for name in self.rows[0]:
            table.add_column(name, justify="right", no_wrap=True)
        for row in self.rows:
            style = "red" if row["level"].endswith(INVALID) else ""
            table.add_row(*(_cell(text) for text in row.values()), style=style)
        return table

    def markdown(self) -> str:
        lines = [list(self.rows[0]), ["--:"] * len(self.rows[0])]
        lines += [list(row.values()) for row in self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> Text:
    return Text(text, style="dim" if text.endswith(UNSUPPORTED) else "")

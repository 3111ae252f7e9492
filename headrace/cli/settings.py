"""`headrace settings`: every setting, where it comes from and what it does."""

from __future__ import annotations

import click


@click.command(epilog="\b\nFor example:\n  HEADRACE_PORT=9000 headrace settings")
def settings() -> None:
    """List every setting: variable, value, default and description.

    A setting is an environment variable; .env.example holds them all.
    """
    from rich.markup import escape
    from rich.table import Table

    from headrace.cli.setting_text import default_text, describe, value_text
    from headrace.cli.terminal import console
    from headrace.core.settings import Settings, load_settings, variable

    current = load_settings()
    table = Table("variable", "value", "default", "description", box=None, pad_edge=False)
    for field in Settings.model_fields:
        value, default = value_text(current, field), default_text(field)
        style = "bold" if value != default else ""
        table.add_row(variable(field), escape(value), escape(default), describe(field), style=style)
    console().print(table)

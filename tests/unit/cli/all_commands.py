"""Every command of the command line, with arguments by which it begins to do something."""

from __future__ import annotations

from collections.abc import Iterator

import click

from headrace.cli.main import cli

AN_ID = "0b8a3f6e5d0c4f1e9f0a2b8c7d6e5f40"
ARGUMENTS: dict[str, list[str]] = {
    "submit": ["hello"],
    "priority": [AN_ID, "batch"],
    "purge": [AN_ID, "--yes"],
    "dead show": [AN_ID],
    "dead replay": [AN_ID],
    "dead purge": [AN_ID, "--yes"],
    "keys revoke": ["3f9c2a7b1d04"],
    "scaler fix": ["1"],
    "scaler": ["--dry-run", "--once"],
    "loadtest": ["--requests", "1", "--concurrency", "1"],
    "loadtest compare": ["absent.json", "absent.json"],
    "health": ["worker"],
    "top": ["--once"],
    "up": ["--engine", "simulated"],
    "model prepare": ["--engine", "simulated", "--model", "absent.gguf"],
}


def commands(group: click.Group = cli, *path: str) -> Iterator[str]:
    """Each command by its words; a group that does something by itself among them."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join((*path, name))


def words_of(command: str) -> list[str]:
    """Return the command with its arguments, as they would be typed."""
    return [*command.split(), *ARGUMENTS.get(command, [])]

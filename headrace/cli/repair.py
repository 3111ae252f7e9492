"""`headrace repair`: cuts off what a power loss left behind the queue's log."""

from __future__ import annotations

import click

from headrace.cli.confirmation import confirm, yes_option
from headrace.cli.setting_option import setting_options, settings_from

EPILOG = """\b
For example:
  headrace repair
  headrace repair --state-dir /var/lib/headrace --yes
"""


@click.command(epilog=EPILOG)
@setting_options("state_dir")
@yes_option()
def repair(yes: bool, **options: str | None) -> None:
    """Cut off what is no command at the end of the embedded Redis' append-only file.

    After a power loss that file may end in zeros or in half a command, and Redis refuses to start.
    The commands in front of that are kept. All log files are copied first. Asks before; a script
    says --yes. With nothing to repair it changes nothing.
    """
    from headrace.cli.embedded_redis import prepare_embedded_redis
    from headrace.cli.log_damage import cut, find_damage
    from headrace.cli.state_folder import locked
    from headrace.core.clock import SystemClock

    state_dir = settings_from(options).state_dir
    with locked(state_dir):
        server = prepare_embedded_redis(state_dir)
        server.wait_for_earlier_server(SystemClock())
        damage = find_damage(server.folder)
        if damage is None:
            click.echo(f"nothing to repair: the log of {server.folder} holds whole commands")
            return
        click.echo(str(damage), err=True)
        confirm("Cut them off, after a copy of all log files?", yes)
        backup = cut(server.folder, damage)
        click.echo(f"cut off; the files as they were are in {backup}")

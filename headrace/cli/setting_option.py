"""Options that override one setting each, and the settings that a command then runs with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from headrace.core.settings import Settings

Function = TypeVar("Function", bound=Callable[..., Any])


class SettingOption(click.Option):
    """An option named after a field of `Settings`, whose description is its help."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        # Only now: pydantic would slow down `headrace --help`, which needs no settings.
        from headrace.cli.setting_text import default_text, describe
        from headrace.core.settings import variable

        field = self.name or ""
        default = default_text(field) or "none"
        self.help = f"{describe(field)}  [env: {variable(field)}; default: {default}]"
        return super().get_help_record(ctx)


def setting_options(*fields: str) -> Callable[[Function], Function]:
    """Adds `--<field>` for each field; a value is checked by `Settings` itself."""

    def add(function: Function) -> Function:
        for field in reversed(fields):
            declaration = "--" + field.replace("_", "-")
            option = click.option(declaration, field, cls=SettingOption, metavar="VALUE")
            function = option(function)
        return function

    return add


def settings_from(options: dict[str, str | None]) -> Settings:
    """The environment's settings with the options that were given put over them.

    Raises `SettingsError` for a wrong variable, `click.UsageError` for a wrong option.
    """
    from headrace.core.errors import SettingsError
    from headrace.core.settings import load_settings

    try:
        return load_settings(**options)
    except SettingsError as error:
        load_settings()
        raise click.UsageError(str(error)) from error

"""`headrace model`: the model that this deployment serves."""

from __future__ import annotations

import click

from headrace.cli.setting_option import setting_options, settings_from

EPILOG = """\b
For example:
  headrace model prepare
  headrace model prepare --model HuggingFaceTB/SmolLM2-360M-Instruct
"""


@click.group(epilog=EPILOG)
def model() -> None:
    """Prepare models ahead of their use."""


@model.command(epilog=EPILOG)
@setting_options("model", "engine", "state_dir")
def prepare(**options: str | None) -> None:
    """Fetch and convert the model, so that workers start at once.

    `headrace up` does this by itself. A model that is ready already is left as it is.
    """
    settings = settings_from(options)

    from batcher.model_store import prepare_model
    from headrace.cli.stages import Stages
    from headrace.core.standard_streams import lose_output

    lose_output()  # a full disk for these lines is no reason not to prepare the model

    with Stages() as stages:
        prepared = prepare_model(settings, stages.enter)
    card = prepared.card
    click.echo(f"{card.name} is ready for {prepared.engine} in {prepared.path}")
    if card.extras.chat_error is not None:
        reason = card.extras.chat_error
        click.echo(f"but not for chats, as its chat template fails: {reason}", err=True)

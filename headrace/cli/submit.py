"""`headrace submit`: one prompt, answered while you look on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.api_options import api_options
from headrace.cli.json_option import json_option
from headrace.core.types import Priority

if TYPE_CHECKING:
    from headrace.cli.api_client import ApiClient

EPILOG = """\b
For example:
  headrace submit "Why is the sky blue?"
  headrace submit --max-tokens 40 --temperature 0 - < prompt.txt
"""


@click.command(epilog=EPILOG)
@click.argument("prompt")
@api_options()
@click.option("--system", help="Instructions that stand before the prompt.")
@click.option("--max-tokens", type=int, help="Longest answer.")
@click.option("--temperature", type=float, help="0 is greedy.")
@click.option("--top-p", type=float, help="Draw from the likeliest tokens of this mass.")
@click.option("--top-k", type=int, help="Draw from this many likeliest tokens.")
@click.option("--seed", type=int, help="Same seed, same answer.")
@click.option("--stop", multiple=True, help="Text that ends the answer; may be repeated.")
@click.option(
    "--priority",
    type=click.Choice([priority.value for priority in Priority]),
    help="Which jobs go first.",
)
@click.option("--stream/--no-stream", default=True, help="Show the answer while it is written.")
@json_option()
def submit(prompt: str, client: ApiClient, stream: bool, as_json: bool, **fields: Any) -> None:
    """Ask PROMPT and show the answer; `-` reads the prompt from standard input."""
    from headrace.cli.answer import CHAT, show_stream, show_whole
    from headrace.cli.terminal import show_json

    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise click.UsageError("the prompt is empty")
    body = _chat_body(text, **fields)
    if as_json:
        show_json(client.post(CHAT, body))
    elif stream:
        show_stream(client, body)
    else:
        show_whole(client, body)


def _chat_body(
    prompt: str, *, system: str | None, stop: tuple[str, ...], **fields: Any
) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": prompt})
    given = {name: value for name, value in fields.items() if value is not None}
    return {"messages": messages, **given} | ({"stop": list(stop)} if stop else {})

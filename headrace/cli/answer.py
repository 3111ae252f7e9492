"""Shows the answer to one prompt: the text on stdout, what it took on stderr."""

from __future__ import annotations

import sys
import time

import click

from headrace.cli.api_client import ApiClient, Json
from headrace.cli.terminal import harmless

CHAT = "/v1/chat/completions"
ID_PREFIX = "chatcmpl-"
STREAMED: Json = {"stream": True, "stream_options": {"include_usage": True}}


def show_stream(client: ApiClient, body: Json) -> None:
    """Writes the text as it comes."""
    started, first_text_s, usage, job_id = time.monotonic(), None, None, ""
    try:
        for event in client.stream(CHAT, body | STREAMED):
            job_id = str(event.get("id", "")).removeprefix(ID_PREFIX)
            usage = event.get("usage") or usage
            if text := _delta(event):
                first_text_s = first_text_s or time.monotonic() - started
                click.echo(shown(text), nl=False)
    except KeyboardInterrupt:
        click.secho(f"\nthe job goes on: headrace jobs {job_id}", dim=True, err=True)
        raise
    click.echo()
    _show_cost(usage, time.monotonic() - started, first_text_s)


def show_whole(client: ApiClient, body: Json) -> None:
    started = time.monotonic()
    answer = client.post(CHAT, body)
    click.echo(shown(answer["choices"][0]["message"]["content"]))
    _show_cost(answer.get("usage"), time.monotonic() - started)


def _delta(event: Json) -> str:
    choices = event.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


def shown(text: str) -> str:
    """A terminal gets no control characters, a pipe the text as it is."""
    return harmless(text) if sys.stdout.isatty() else text


def _show_cost(usage: Json | None, total_s: float, first_text_s: float | None = None) -> None:
    parts = [f"{total_s:.2f} s"]
    if first_text_s is not None:
        parts.append(f"first text after {first_text_s:.2f} s")
    if usage:
        parts.append(f"{usage['prompt_tokens']} prompt tokens")
        parts.append(f"{usage['completion_tokens']} output tokens")
    click.secho(" · ".join(parts), dim=True, err=True)

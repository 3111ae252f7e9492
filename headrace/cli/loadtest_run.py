"""Runs a load test for somebody at a terminal, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console

from headrace.cli.measured_levels import MeasuredLevels
from headrace.cli.output_file import require_writable
from headrace.cli.terminal import console
from headrace.core.errors import Unavailable
from headrace.loadtest.assertions import Assertion, failures
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.plan import Plan
from headrace.loadtest.progress import Lines, Moving, Progress
from headrace.loadtest.repeats import repeated_levels
from headrace.loadtest.report import write_csv, write_json
from headrace.loadtest.table import drawn, markdown

HOLDS, FAILED, NOT_MEASURED, INTERRUPTED = 0, 1, 3, 130


@dataclass(frozen=True)
class Outputs:
    """Where the results go."""

    json_path: Path | None
    csv_path: Path | None
    html_path: Path | None
    as_markdown: bool
    no_progress: bool

    def require_writable(self) -> None:
        """Raises `click.UsageError`: better before the load than after it."""
        for path in (self.json_path, self.csv_path, self.html_path):
            require_writable(path)
        if self.html_path and not find_spec("plotly"):
            raise click.UsageError("--html needs plotly: pip install 'headrace[report]'")

    def progress(self) -> Progress:
        return progress_on(Console(stderr=True), self.no_progress)

    def write(self, test: LoadTest) -> None:
        if self.json_path is not None:
            write_json(test, self.json_path)
        if self.csv_path is not None:
            write_csv(test, self.csv_path)
        if self.as_markdown:
            click.echo(markdown(test.results, test.plan.service_levels))
        else:
            console().print(drawn(test.results, test.plan.service_levels))
        if self.html_path is not None:
            from headrace.loadtest.html import write_html

            write_html(test, self.html_path)


def progress_on(errors: Console, no_progress: bool) -> Progress:
    return Moving(errors) if errors.is_terminal and not no_progress else Lines(errors)


def run_load_test(plan: Plan, assertions: Sequence[Assertion], outputs: Outputs) -> int:
    """The exit status. What has been measured is reported, however the test ended."""
    with MeasuredLevels(outputs.progress(), outputs.json_path) as measured:
        test = LoadTest(plan, measured)
        try:
            status = _run(test)
        finally:
            if test.results:
                outputs.write(test)
    if status != HOLDS:
        return status
    failed = failures(assertions, test.results)
    for failure in failed:
        click.echo(f"FAILED {failure.text} at level {failure.level}: {failure.reason}", err=True)
    if failed:
        return FAILED
    is_believed = not any(level.problems for level in repeated_levels(test.results))
    return HOLDS if is_believed else NOT_MEASURED


def _run(test: LoadTest) -> int:
    try:
        asyncio.run(test.run())
    except KeyboardInterrupt:
        return INTERRUPTED
    except Unavailable as error:
        click.echo(f"headrace: {error}", err=True)
        return NOT_MEASURED
    return HOLDS

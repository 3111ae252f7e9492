"""`headrace loadtest compare`: is the second of two reports slower than the first?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from headrace.loadtest.comparison import Comparison, Verdict

EPILOG = """\b
For example:
  headrace loadtest compare before.json after.json
  headrace loadtest compare before.json after.json --tolerance 0.1 --json changes.json
\b
Exit status: 0 B is as fast as A, or faster; 1 B is slower, or has fewer good or more failed
requests; 2 wrong options, or other loads; 3 no level can be compared, one is not valid, or there
are too few requests to tell.
"""
REPORT = click.Path(path_type=Path)
EXITS: dict[Verdict, int] = {
    "equal": 0,
    "faster": 0,
    "slower": 1,
    "unsure": 3,
    "not comparable": 3,
}


@click.command(epilog=EPILOG)
@click.argument("a", metavar="A.json", type=REPORT)
@click.argument("b", metavar="B.json", type=REPORT)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="A change within it counts for nothing; as a share.",
)
@click.option("--json", "json_path", type=REPORT, help="Write the comparison.")
def compare(a: Path, b: Path, tolerance: float, json_path: Path | None) -> None:
    """Say whether B is slower or faster than A, by the JSON reports of two load tests.

    Levels of the same load are compared, by their latencies, throughput, good and failed requests.
    """
    from headrace.cli.loadtest_compare_view import as_record, view
    from headrace.cli.terminal import console

    comparison = _compare(a, b, tolerance)
    if json_path is not None:
        _write(json_path, as_record(comparison))
    console().print(view(comparison))
    sys.exit(EXITS[comparison.verdict])


def _compare(a: Path, b: Path, tolerance: float) -> Comparison:
    from headrace.core.errors import InvalidRequest
    from headrace.loadtest.comparison import compare
    from headrace.loadtest.saved import read_report

    try:
        return compare(read_report(a), read_report(b), tolerance)
    except InvalidRequest as error:
        raise click.UsageError(str(error)) from error


def _write(path: Path, record: dict[str, object]) -> None:
    try:
        path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise click.UsageError(f"--json: {path}: {error.strerror}") from error

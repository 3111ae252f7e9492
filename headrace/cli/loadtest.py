"""`headrace loadtest`: how a server holds up under load, measured so that it can be believed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from headrace.cli.loadtest_compare import compare
from headrace.cli.url_option import url_option

EPILOG = """\b
For example:
  headrace loadtest
  headrace loadtest --concurrency 1,15 --duration 20 --json out.json
  headrace loadtest --rates 1,2,4 --arrivals gamma --cv 2 --slo-latency-s 0.5
  headrace loadtest --trace trace.csv --speed 2 --requests 500
  headrace loadtest --trace mooncake:conversation_trace.jsonl --duration 300
  headrace loadtest --dataset sharegpt:ShareGPT.json --rates 2
  headrace loadtest --dataset prefix:prefixes=4,prefix_tokens=512 --prompt-tokens 64
  headrace loadtest --dataset turns:turns=4,think_s=1 --concurrency 8
  headrace loadtest --concurrency 1:30 --duration 60
  headrace loadtest --concurrency 15 --repeat 5 --assert "p95.high<1"
  headrace loadtest --goodput chat=ttft:500,tpot:50 --assert "goodput.chat>0.99"
  headrace loadtest --concurrency 15 --assert "p95<1.0@15" --assert "errors<=0"
  headrace loadtest compare before.json after.json
\b
A data set is sharegpt:FILE[,turns=N][,think_s=S], prefix:[prefixes=N][,prefix_tokens=N] or
turns:[turns=N][,think_s=S]. Prompts of prefix and turns have --prompt-tokens beyond what they
share; answers have --max-tokens, those of sharegpt without it as many as they once had.
\b
An assertion is METRIC[.pNN|.NAME][.low|.high] OP NUMBER [@LEVEL], in s where it is a time. Bare
p50, p90, p95 and p99 are e2e's; others are ttft.p95, tpot.p50, queue_wait.p95, throughput,
output_tokens_per_s, errors, goodput and goodput.NAME (shares), batch_size, cached_share,
degradation.p95. low and high are the ends of the 95 % interval. OP is < <= > >=.
Exit status: 0 measured, and all of them hold; 1 one does not; 2 wrong options; 3 no server, or a
level is not valid; 130 Ctrl-C.
"""
SECONDS = click.FloatRange(0, min_open=True)
COUNT = click.IntRange(1)


@click.group(epilog=EPILOG, invoke_without_command=True)
@url_option("Any OpenAI-compatible API.")
@click.option(
    "--api",
    type=click.Choice(["stream", "sync", "jobs"]),
    default="stream",
    show_default=True,
    help="Chat completions streamed or whole, or Headrace's jobs.",
)
@click.option("--model", help="Default: the first that the server names.")
@click.option(
    "--api-key",
    envvar=["HEADRACE_API_KEY", "OPENAI_API_KEY"],
    show_envvar=True,
    help="Sent as a bearer.",
)
@click.option(
    "--concurrency",
    help="Closed loop: users, a level each; 1:30 rises meanwhile.  [default: 1,5,15,30]",
)
@click.option(
    "--rate",
    "--rates",
    "rates",
    help="Open loop: requests/s, a level each: 1,2,4; 1:30 rises meanwhile.",
)
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "gamma", "constant"]),
    default="poisson",
    show_default=True,
    help="How the requests of an open loop are spread.",
)
@click.option(
    "--cv",
    type=click.FloatRange(0.01, 100),
    default=2.0,
    show_default=True,
    help="Coefficient of variation of gamma's gaps.",
)
@click.option(
    "--trace",
    metavar="[mooncake:]FILE",
    help="CSV of TIMESTAMP,ContextTokens,GeneratedTokens, or JSON lines of Mooncake, to send as it"
    " once came.",
)
@click.option("--speed", type=SECONDS, default=1.0, show_default=True, help="Of the trace.")
@click.option(
    "--duration", type=SECONDS, help="Seconds of a level.  [default: 40, or the whole trace]"
)
@click.option("--requests", type=COUNT, help="Requests of a level, instead of seconds.")
@click.option(
    "--repeat",
    type=COUNT,
    default=1,
    show_default=True,
    help="Runs of each level, the levels in turn: medians with intervals.",
)
@click.option(
    "--warmup",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    help="Seconds before each level that count nowhere.",
)
@click.option(
    "--timeout",
    type=SECONDS,
    default=600.0,
    show_default=True,
    help="Seconds after which a request is an error.",
)
@click.option(
    "--prompt-tokens", type=COUNT, default=32, show_default=True, help="Length of prompts."
)
@click.option("--max-tokens", type=COUNT, help="Longest answer.  [default: 16, or the data set's]")
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="0 is greedy.",
)
@click.option(
    "--prompts",
    type=click.Path(path_type=Path),
    help='A prompt a line, or JSON lines with "prompt" or "messages".',
)
@click.option("--dataset", metavar="NAME:…", help="Prompts of a data set instead: see below.")
@click.option("--repeat-prompts", is_flag=True, help="The same prompt over and over.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of prompts and arrivals.")
@click.option("--slo-latency-s", type=SECONDS, help="A good answer's latency, beside its tokens.")
@click.option(
    "--slo-tpot-s", type=click.FloatRange(0), help="What each of its tokens may add to that."
)
@click.option(
    "--goodput",
    multiple=True,
    metavar="[NAME=]BOUND:MS,…",
    help="Another good answer, by name: chat=ttft:500,tpot:50,e2e:3000; may be repeated.",
)
@click.option("--assert", "asserts", multiple=True, help="What must hold; may be repeated.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write a report.")
@click.option("--csv", "csv_path", type=click.Path(path_type=Path), help="Write a row a level.")
@click.option("--html", "html_path", type=click.Path(path_type=Path), help="Write a page of plots.")
@click.option("--markdown", is_flag=True, help="Print the tables as GitHub Markdown.")
@click.option("--no-progress", is_flag=True, help="One line a level instead of a moving one.")
def loadtest(
    asserts: tuple[str, ...],
    json_path: Path | None,
    csv_path: Path | None,
    html_path: Path | None,
    markdown: bool,
    no_progress: bool,
    **options: Any,
) -> None:
    """Send load to an OpenAI-compatible server and measure latency, throughput and goodput.

    Each level is warmed up, measured and checked; a level that cannot be believed is marked.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from headrace.cli.loadtest_plan import make_plan, parse_assertions
    from headrace.cli.loadtest_run import Outputs, run_load_test

    plan = make_plan(options)
    assertions = parse_assertions(asserts, plan)
    outputs = Outputs(json_path, csv_path, html_path, markdown, no_progress)
    outputs.require_writable()
    sys.exit(run_load_test(plan, assertions, outputs))


loadtest.add_command(compare)

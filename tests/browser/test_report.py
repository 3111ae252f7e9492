"""The page of `headrace loadtest --html`, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.cli.main import cli
from headrace.loadtest.html import page
from tests.browser.chromium import Shown, show
from tests.openai_server import OpenAiServer
from tests.reports import a_report, a_report_with_a_fleet
from tests.unit.loadtest.making import a_failure, a_result

EVIL = "</script><script>document.title = 'evil'</script><img src=x onerror=alert(1)>"


def shown(text: str, folder: Path) -> Shown:
    path = folder / "page.html"
    path.write_text(text)
    return show(path)


def test_the_page_of_a_load_test_is_drawn_without_a_complaint(tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    options = ["--requests", "40", "--warmup", "0", "--concurrency", "1,4", "--html", str(path)]
    with OpenAiServer(service_s=0.005) as server:
        CliRunner().invoke(cli, ["loadtest", "--url", server.url, *options])
    found = show(path)
    assert found.console == []
    assert found.traces() == {
        "Latency against throughput": 2,
        "How latencies spread": 3,
        "Goodput against load": 2,
    }


def test_ramps_and_repeated_runs_are_drawn_with_their_tables(tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    options = ["--duration", "2", "--warmup", "0", "--concurrency", "1:3,2", "--repeat", "2"]
    options += ["--goodput", "chat=ttft:20", "--dataset", "turns:turns=2,think_s=0.01"]
    with OpenAiServer(service_s=0.01) as server:
        CliRunner().invoke(cli, ["loadtest", "--url", server.url, *options, "--html", str(path)])
    found = show(path)
    assert found.console == []
    traces = found.traces()
    assert traces["Over the ramp"] == 6
    assert traces["Goodput against load"] == 3
    for title in ("medians of 2 runs", "goodput by name", "by turn", "over the ramp"):
        assert f"<h2>{title}" in found.dom


def test_all_plots_of_a_fleet_are_drawn(tmp_path: Path) -> None:
    found = shown(page(a_report_with_a_fleet(seconds=40.0)), tmp_path)
    assert found.console == []
    assert found.traces() == {
        "Latency against throughput": 3,
        "How latencies spread": 5,
        "Where the time goes": 6,
        "Goodput against load": 2,
        "Queue and workers over time": 4,
    }


def test_a_test_without_an_answer_has_a_page(tmp_path: Path) -> None:
    failed = a_result([a_failure(float(number)) for number in range(20)])
    found = shown(page(a_report(failed)), tmp_path)
    assert found.console == []
    assert found.traces() == {"Goodput against load": 2}


def test_text_of_the_report_does_not_run(tmp_path: Path) -> None:
    report = a_report(a_result(), model=EVIL)
    report["levels"][0]["level"] = EVIL
    found = shown(page(report), tmp_path)
    assert found.console == []
    assert "<title>Load test of &lt;/script&gt;" in found.dom
    assert "<img" not in found.dom


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("<script>missing()</script>", "Uncaught ReferenceError: missing is not defined"),
        ("<script>Promise.reject(new Error('no'))</script>", "Uncaught (in promise) Error: no"),
        ("<script>console.warn('careful')</script>", "careful"),
        ("<img src='http://127.0.0.1:1/pixel.png'>", "violates the following Content Security"),
        ("<script src='http://127.0.0.1:1/plotly.js'></script>", "Content Security Policy"),
    ],
)
def test_a_broken_page_is_seen_in_the_console(fault: str, says: str, tmp_path: Path) -> None:
    text = page(a_report(a_result())).replace("</body>", f"{fault}</body>")
    assert says in shown(text, tmp_path).console[0]


def test_a_plot_that_is_not_drawn_is_seen(tmp_path: Path) -> None:
    text = page(a_report(a_result())).replace("\ndraw();\n", "\n")
    assert set(shown(text, tmp_path).traces().values()) == {0}

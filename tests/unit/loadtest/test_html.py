from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from headrace.loadtest.html import page, write_html
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.loads import Load, TraceLoad
from headrace.loadtest.traces.arrival import Arrival
from tests.load import KeepsLevels, a_plan, closed, constant
from tests.reports import a_report, a_report_with_a_fleet
from tests.unit.loadtest.making import SERVER, a_failure, a_result, one_after_another


class Reader(HTMLParser):
    """Tags with their attributes, and what stands in each script, cell and line."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.tags[-1][0], data.strip()))

    def within(self, tag: str) -> list[str]:
        return [text for where, text in self.texts if where == tag]


def read(*args: Any, **changes: Any) -> Reader:
    return Reader(page(a_report(*args, **changes)))


def test_a_page_names_model_url_and_date() -> None:
    report = a_report(a_result()) | {"started_at": "2026-11-24T10:00:00+00:00"}
    found = Reader(page(report))
    assert found.within("title") == ["Load test of tiny, 2026-11-24 10:00 UTC"]
    assert found.within("h1") == ["tiny"]
    assert "http://127.0.0.1:1" in found.within("p")


def test_a_level_is_a_row_of_the_table() -> None:
    found = read(a_result(one_after_another(300, server=SERVER)))
    cells = ["300", "0", "1.00", "4.0", "1.000 [1.000 1.000]", "1.000", "1.000", "0.500", "0.500"]
    assert found.within("td") == [*cells, "100.0%"]


def test_marks_are_explained() -> None:
    unseen = one_after_another(20, server=SERVER, first_token=None, last_token=None)
    text = page(a_report(a_result(unseen)))
    assert "<td>1.000*</td>" in text and "* fewer than 300 answers" in text
    assert "<td>~0.400</td>" in text and "~ as the server says" in text


def test_levels_that_are_not_valid_are_marked_with_their_problems() -> None:
    found = read(a_result(), a_result(load=closed(5)))
    assert "1 of 2 levels not valid: 5" in found.within("p")
    assert ("tr", {"class": "invalid"}) in found.tags
    assert any("level 5: not valid: concurrency" in line for line in found.within("li"))


def test_what_all_levels_may_be_believed_says_so() -> None:
    assert "1 level, all valid" in read(a_result()).within("p")


def test_every_plot_has_its_place_and_its_figure() -> None:
    text = page(a_report_with_a_fleet(seconds=12.0))
    figures = json.loads(figures_of(text))
    places = {attributes.get("id") for tag, attributes in Reader(text).tags if tag == "div"}
    assert set(figures) == {"latency", "distribution", "stages", "goodput", "fleet"} <= places
    assert text.count("<figcaption>") == 5


def figures_of(text: str) -> str:
    found = re.search(r'<script id="figures" type="application/json">(.*?)</script>', text, re.S)
    assert found
    return found[1]


@pytest.mark.parametrize("load", [closed(1), constant(2), TraceLoad([Arrival(0.0, 8, 4)], 1.0)])
def test_a_page_is_made_of_any_load_also_where_nothing_succeeded(load: Load) -> None:
    failed = a_result([a_failure(float(number)) for number in range(20)], load=load)
    assert read(a_result(load=load), failed).within("td").count("-") == 5


def test_nothing_is_loaded_from_anywhere() -> None:
    found = read(a_result())
    loading = [
        (tag, name)
        for tag, attributes in found.tags
        for name in attributes
        if name in ("src", "href", "srcset", "data", "action", "background")
    ]
    assert loading == []
    assert not any("@import" in style or "url(" in style for style in found.within("style"))


def test_the_browser_is_told_to_load_nothing() -> None:
    [policy] = [
        attributes["content"] or ""
        for _tag, attributes in read(a_result()).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_plotly_is_in_a_page_once() -> None:
    assert page(a_report_with_a_fleet(seconds=12.0)).count("* plotly.js v") == 1


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def test_text_of_a_report_does_not_run() -> None:
    failing = [*one_after_another(20), a_failure(20.0, done=20.5, message=EVIL)]
    report = a_report(a_result(failing), model=EVIL)
    report["levels"][0]["level"] = EVIL
    text = page(report)
    found, harmless = Reader(text), Reader(page(a_report(a_result(failing))))
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in harmless.tags]
    assert found.within("h1") == [EVIL]
    assert EVIL not in text


def test_the_page_is_written_without_the_key(tmp_path: Path) -> None:
    plan = a_plan("http://127.0.0.1:1", closed(1), api_key="hr-1234567890", model="tiny")
    test = LoadTest(plan, KeepsLevels())
    test.results = [a_result()]
    write_html(test, tmp_path / "out.html")
    text = (tmp_path / "out.html").read_text()
    assert "<h1>tiny</h1>" in text
    assert "hr-1234567890" not in text

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from bench.report import command_line, encode


def test_a_row_is_one_line_of_the_file() -> None:
    report = {"seeds": 2, "rows": [{"load": "step", "n": {"mean": 1}}, {"load": "spike"}]}
    text = encode(report)

    assert json.loads(text) == report
    assert '    {"load": "step", "n": {"mean": 1}},\n' in text


def test_a_report_without_rows_is_indented() -> None:
    assert encode({"targets": []}) == '{\n  "targets": []\n}\n'


def test_a_command_line_names_no_place_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["service", "--pairs", "2", "--models", "/a/b/", "--json=/c d.json", "--assert"]
    monkeypatch.setattr("sys.argv", given)
    arguments = argparse.Namespace(models=Path("/a/b"), json=Path("/c d.json"), pairs=2)

    command = command_line("bench.service", arguments)

    assert command == "python -m bench.service --pairs 2 --assert"

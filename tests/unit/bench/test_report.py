from __future__ import annotations

import json

from bench.report import encode


def test_a_row_is_one_line_of_the_file() -> None:
    report = {"seeds": 2, "rows": [{"load": "step", "n": {"mean": 1}}, {"load": "spike"}]}
    text = encode(report)

    assert json.loads(text) == report
    assert '    {"load": "step", "n": {"mean": 1}},\n' in text


def test_a_report_without_rows_is_indented() -> None:
    assert encode({"targets": []}) == '{\n  "targets": []\n}\n'

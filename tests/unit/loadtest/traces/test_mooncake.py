from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.traces import mooncake
from headrace.loadtest.traces.arrival import Arrival
from headrace.loadtest.traces.read import read_trace

ROW = {"timestamp": 27482, "input_length": 600, "output_length": 52, "hash_ids": [46, 47]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace.jsonl"


def write(file: Path, *rows: Any) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_rows_become_offsets_with_the_blocks_they_share(file: Path) -> None:
    write(file, ROW, ROW | {"timestamp": 30482.5, "hash_ids": [46, 48]})
    assert read_trace(f"mooncake:{file}") == [
        Arrival(0.0, 600, 52, (46, 47)),
        Arrival(3.0005, 600, 52, (46, 48)),
    ]


def test_rows_out_of_order_are_put_in_order_and_ids_may_be_missing(file: Path) -> None:
    bare = {name: value for name, value in ROW.items() if name != "hash_ids"}
    write(file, ROW, bare | {"timestamp": 0})
    assert [row.blocks for row in mooncake.read(file)] == [(), (46, 47)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"timestamp": "soon"}, "timestamp: 'soon' is no number of ms"),
        ({"timestamp": float("inf")}, "timestamp: inf"),
        ({"timestamp": 10**400}, "too large"),
        ({"input_length": 0}, "input_length: 0 is no number of tokens"),
        ({"output_length": 1.5}, "output_length: 1.5 is no number"),
        ({"output_length": True}, "output_length: True is no number"),
        ({"input_length": 10**12}, "input_length: "),
        ({"hash_ids": 3}, "hash_ids: is no list"),
        ({"hash_ids": ["a"]}, "hash_ids: is no list of whole numbers"),
        ({"hash_ids": [1, 2, 3]}, "hash_ids: 3 blocks of 512 tokens for an input_length of 600"),
    ],
)
def test_a_bad_row_is_named_by_line_and_field(
    file: Path, change: dict[str, Any], says: str
) -> None:
    write(file, ROW, ROW | change)
    with pytest.raises(InvalidRequest, match=f"--trace: .*trace.jsonl: line 2: .*{says}"):
        mooncake.read(file)


def test_a_missing_field_no_object_and_no_rows_are_refused(file: Path) -> None:
    write(file, {"timestamp": 1, "input_length": 4})
    with pytest.raises(InvalidRequest, match="line 1: output_length: missing"):
        mooncake.read(file)
    write(file, ROW, [1, 2])
    with pytest.raises(InvalidRequest, match="line 2: a row is an object"):
        mooncake.read(file)
    write(file)
    with pytest.raises(InvalidRequest, match="has no rows"):
        mooncake.read(file)


def test_a_trace_that_is_too_long_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mooncake, "MOST_ROWS", 2)
    write(file, ROW, ROW, ROW)
    with pytest.raises(InvalidRequest, match="line 3: more than 2 rows"):
        mooncake.read(file)

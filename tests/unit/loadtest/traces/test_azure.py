from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.traces.arrival import Arrival
from headrace.loadtest.traces.azure import read

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace.csv"


def test_rows_become_offsets_from_the_first(file: Path) -> None:
    file.write_text(
        HEADER + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:48.6805900,396,109\n"
    )
    assert read(file) == [Arrival(0.0, 374, 44), Arrival(2.0, 396, 109)]


def test_rows_out_of_order_are_put_in_order(file: Path) -> None:
    file.write_text(HEADER + "2023-11-16 18:15:48,2,2\n2023-11-16 18:15:46,1,1\n")
    assert [row.offset_s for row in read(file)] == [0.0, 2.0]


@pytest.mark.parametrize(
    "row", ["yesterday,1,1", "2023-11-16 18:15:46,many,1", "2023-11-16 18:15:46,1,0", "2023-11-16"]
)
def test_a_bad_row_is_named_by_its_line(file: Path, row: str) -> None:
    file.write_text(HEADER + "2023-11-16 18:15:46,1,1\n" + row + "\n")
    with pytest.raises(InvalidRequest, match=r"--trace: .*trace.csv: line 3"):
        read(file)


def test_a_missing_column_is_named(file: Path) -> None:
    file.write_text("TIMESTAMP,ContextTokens\n")
    with pytest.raises(InvalidRequest, match="no column GeneratedTokens"):
        read(file)


def test_a_trace_without_rows_or_without_a_file_is_refused(file: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        read(file)
    file.write_text(HEADER)
    with pytest.raises(InvalidRequest, match="has no rows"):
        read(file)


def test_times_may_be_seconds(file: Path) -> None:
    file.write_text(HEADER + "0.5,1,1\n2,2,2\n")
    assert [row.offset_s for row in read(file)] == [0.0, 1.5]


def test_a_file_of_a_spreadsheet_is_read(file: Path) -> None:
    file.write_text("\ufeff" + HEADER + "0,1,1\n", encoding="utf-8")
    assert len(read(file)) == 1

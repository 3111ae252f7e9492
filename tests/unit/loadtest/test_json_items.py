from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest import json_items
from headrace.loadtest.json_items import Item, JsonList, read_items


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "items.json"


def values(file: Path) -> list[Any]:
    return [item.value for item in read_items("--dataset", file)]


def test_a_list_and_lines_hold_the_same_items(file: Path) -> None:
    items = [{"a": 1}, [2, 3], "x", -4.5, None]
    for text in (json.dumps(items), json.dumps(items, indent=2)):
        file.write_text(text)
        assert values(file) == items
    file.write_text("\n".join(map(json.dumps, items[:1] + items[2:])) + "\n\n")
    assert values(file) == items[:1] + items[2:]


def test_items_know_their_lines(file: Path) -> None:
    file.write_text('\ufeff[\n {"a":\n  1},\n\n {"b": 2}\n]', encoding="utf-8")
    assert list(read_items("--dataset", file)) == [Item(2, {"a": 1}), Item(5, {"b": 2})]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_an_item_may_be_cut_anywhere_by_a_read(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_items, "CHUNK", chunk)
    items = [{"text": 'a "quoted" ] one'}, 12345, {"deep": [[1.5], {"b": "é\n"}]}]
    found = JsonList(io.StringIO(json.dumps(items, indent=1)))
    assert [item.value for item in found] == items


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1}\n{"a": \n', "line 2: "),
        ('[{"a": 1},\n{"a" 1}]', "line 2: Expecting ':'"),
        ('[{"a": 1}\n{"a": 1}]', "line 2: no comma"),
        ('[{"a": 1},\n', "line 2: the list does not end"),
        ('[\n"abc', "line 2: Unterminated string"),
        ("[" * 100_000, "line 1: nested too deeply"),
        ("nothing", "line 1: "),
    ],
)
def test_what_is_no_json_is_named_by_its_line(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidRequest, match=f"--dataset: .*items.json: {says}"):
        values(file)


@pytest.mark.parametrize("text", ['["{long}"]', '"{long}"'])
def test_an_item_without_end_is_not_read_to_its_end(
    file: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_items, "MOST_OF_AN_ITEM", 1000)
    monkeypatch.setattr(json_items, "CHUNK", 100)
    file.write_text(text.format(long="x" * 5000))
    with pytest.raises(InvalidRequest, match="line 1: an item is longer than"):
        values(file)


def test_a_file_that_is_not_there_or_no_text_is_named(file: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"items\.json: .*No such file"):
        values(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidRequest, match=r"items\.json: .*decode"):
        values(file)


def test_an_empty_file_has_no_items(file: Path) -> None:
    file.write_text(" \n")
    assert values(file) == []

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.datasets.parse import parse_dataset
from headrace.loadtest.datasets.shared_prefix import SharedPrefix
from headrace.loadtest.datasets.turns import Turns


def test_keys_have_defaults() -> None:
    assert parse_dataset("prefix:") == SharedPrefix(10, 256)
    assert parse_dataset("prefix:prefixes=4,prefix_tokens=512") == SharedPrefix(4, 512)
    assert parse_dataset("turns:think_s=0.5") == Turns(4, 0.5)


def test_a_name_of_a_file_may_have_commas(tmp_path: Path) -> None:
    file = tmp_path / "a,turns of,b=1.json"
    row = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    file.write_text(json.dumps([row]))
    assert str(parse_dataset(f"sharegpt:{file}")) == f"sharegpt:{file},turns=1,think_s=0"
    both = parse_dataset(f"sharegpt:{file},turns=3,think_s=2")
    assert str(both) == f"sharegpt:{file},turns=3,think_s=2"


@pytest.mark.parametrize("text", ["prefix:prefixes=4,prefix_tokens=512", "turns:turns=2,think_s=0"])
def test_a_data_set_names_itself_as_an_option_does(text: str) -> None:
    assert str(parse_dataset(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alpaca:x", "is none of sharegpt:FILE, prefix: and turns:"),
        ("sharegpt:", "names no file"),
        ("sharegpt:/nowhere.json", "/nowhere.json: .*No such file"),
        ("prefix:prefixes=0", "prefixes is a number from 1"),
        ("prefix:tokens=1", "give each of prefixes, prefix_tokens once"),
        ("turns:turns=2,turns=3", "give each of turns, think_s once"),
        ("turns:think_s=-1", "think_s is a number of seconds"),
        ("turns:think_s=inf", "think_s is a number of seconds"),
        ("turns:turns=two", "turns is a number from 1"),
    ],
)
def test_what_is_no_data_set_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=f"--dataset: .*{says}"):
        parse_dataset(text)

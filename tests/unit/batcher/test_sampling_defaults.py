"""Sampling defaults that models bring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import pytest

from batcher.sampling_defaults import read_sampling_defaults
from headrace.core.sampling_defaults import SamplingDefaults


def write_config(folder: Path, text: str) -> Path:
    (folder / "generation_config.json").write_text(text)
    return folder


def read(path: Path) -> tuple[SamplingDefaults, list[str]]:
    told: list[str] = []
    return read_sampling_defaults(path, told.append), told


def test_a_generation_config_is_taken_as_it_is(tmp_path: Path) -> None:
    stated: dict[str, Any] = {
        "temperature": 0.6,
        "top_p": 0.95,
        "top_k": 20,
        "min_p": 0,
        "repetition_penalty": 1.05,
    }
    others = {"max_new_tokens": 9, "eos_token_id": [1, 2], "do_sample": True}

    found, told = read(write_config(tmp_path, json.dumps(stated | others)))

    assert found == SamplingDefaults(**stated)
    assert told == []


@pytest.mark.parametrize("text", ["{}", '{"temperature": null}', '{"do_sample": false}'])
def test_without_values_there_are_the_usual_ones(tmp_path: Path, text: str) -> None:
    assert read(write_config(tmp_path, text)) == (SamplingDefaults(), [])


def test_without_a_generation_config_there_are_the_usual_ones(tmp_path: Path) -> None:
    assert read(tmp_path) == (SamplingDefaults(), [])


def test_a_temperature_holds_whatever_do_sample_is(tmp_path: Path) -> None:
    found, _told = read(write_config(tmp_path, '{"do_sample": false, "temperature": 0.3}'))

    assert found.temperature == 0.3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "3.5"),
        ("temperature", "-1"),
        ("temperature", '"0.6"'),
        ("temperature", "true"),
        ("temperature", "NaN"),
        ("temperature", "[0.6]"),
        ("top_p", "0"),
        ("top_p", "1.5"),
        ("top_k", "-1"),
        ("top_k", "2.5"),
        ("min_p", "2"),
        ("repetition_penalty", "0"),
        ("repetition_penalty", "Infinity"),
    ],
)
def test_a_value_that_nobody_could_ask_for_is_left_out_and_told(
    tmp_path: Path, name: str, value: str
) -> None:
    other = '"min_p": 0.2' if name != "min_p" else '"top_k": 5'
    found, told = read(write_config(tmp_path, f'{{"{name}": {value}, {other}}}'))

    assert found == SamplingDefaults(**json.loads(f"{{{other}}}"))
    assert told == [f"ignoring the model's own {name}: {value} is not supported"]


@pytest.mark.parametrize("text", ["[]", "{", "5"])
def test_a_generation_config_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting"):
        read(write_config(tmp_path, text))


def test_a_gguf_file_may_bring_its_own(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_sampling_temp(0.6)
    writer.add_sampling_top_p(0.95)
    writer.add_sampling_top_k(20)
    writer.add_sampling_min_p(0.1)
    writer.add_sampling_penalty_repeat(1.1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()

    found, told = read(tmp_path / "a.gguf")

    assert found == SamplingDefaults(
        temperature=0.6, top_p=0.95, top_k=20, min_p=0.1, repetition_penalty=1.1
    )
    assert told == []

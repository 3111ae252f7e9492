"""The header of a GGUF file, read without making objects of every token."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from batcher.gguf_header import read_numbers


def write_header(file: Path, endianess: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE) -> Path:
    writer = gguf.GGUFWriter(file, "llama", endianess=endianess)
    writer.add_name("not a number")
    writer.add_token_list(["<s>", "ü", "c"])
    writer.add_array("x.nested", [[1, 2], [3]])
    writer.add_array("x.numbers", [1.5, 2.5])
    writer.add_bool("x.flag", True)
    writer.add_int8("x.small", -3)
    writer.add_uint64("x.large", 2**40)
    writer.add_float64("x.precise", 0.1)
    writer.add_sampling_temp(0.6)
    writer.add_sampling_top_k(20)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return file


def test_numbers_are_found_behind_whatever_comes_before(tmp_path: Path) -> None:
    file = write_header(tmp_path / "a.gguf")

    assert read_numbers(file, "x.") == {
        "x.flag": True,
        "x.small": -3,
        "x.large": 2**40,
        "x.precise": 0.1,
    }
    assert read_numbers(file, "general.sampling.") == {
        "general.sampling.temp": pytest.approx(0.6),
        "general.sampling.top_k": 20,
    }


def test_a_big_endian_file_says_nothing(tmp_path: Path) -> None:
    file = write_header(tmp_path / "a.gguf", gguf.GGUFEndian.BIG)

    assert read_numbers(file, "x.") == {}


@pytest.mark.parametrize("content", [b"", b"GGUF?", b"not a GGUF file but long enough for it"])
def test_what_is_no_gguf_file_is_said(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(content)

    with pytest.raises(ValueError):
        read_numbers(file, "")


def test_a_file_that_ends_early_is_said(tmp_path: Path) -> None:
    file = write_header(tmp_path / "a.gguf")
    whole = file.read_bytes()

    for length in range(30, len(whole) - 30, 7):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot be read"):
            read_numbers(file, "")

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.peers.llama_logits import log_probabilities, read

IDS = [5, 3, 1, 4] * 64
ROW = np.array([-0.5, -4.0, -1.0, -16.5, -2.0], dtype=np.float32)


def _packed(row: np.ndarray) -> bytes:
    """As llama-perplexity packs a row: scale, least, then codes; an odd vocabulary is padded."""
    least, scale = row.min(), (row.max() - row.min()) / 65535
    codes = np.rint((row - least) / scale).astype(np.uint16)
    head = np.array([scale, least], dtype=np.float32).tobytes()
    return head + codes.tobytes() + b"\0" * 2 * (len(row) % 2)


def _content() -> bytes:
    head = np.array([len(IDS), len(ROW), 1], dtype=np.int32).tobytes()
    return b"_logits_" + head + np.array(IDS, dtype=np.int32).tobytes() + _packed(ROW)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Something that leaves the file where a llama-perplexity would."""
    script = tmp_path / "llama-perplexity"
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        f"file = sys.argv[sys.argv.index('--save-all-logits') + 1]\n"
        f"pathlib.Path(file).write_bytes({_content()!r})\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def test_rows_are_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "raw.logits"
    file.write_bytes(_content())

    ids, rows = read(file)

    assert list(ids) == IDS
    np.testing.assert_allclose(rows, ROW[None], atol=1e-3)


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "raw.logits"
    file.write_bytes(b"something else")

    with pytest.raises(ValueError, match="no file of logits"):
        read(file)


def test_the_second_half_has_rows(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.npy"

    reply = log_probabilities([str(program)], "a text", [*IDS, 9], file)

    assert reply == {"first": 128, "rows": 1, "ids": IDS}
    np.testing.assert_allclose(np.load(file), ROW[None], atol=1e-3)


def test_the_reply_has_the_program_s_own_ids(program: Path, tmp_path: Path) -> None:
    others = [1, 2, 3, 4] * 64

    reply = log_probabilities([str(program)], "a text", others, tmp_path / "rows.npy")

    assert reply["ids"] == IDS


def test_a_program_that_writes_nothing_is_an_error(program: Path, tmp_path: Path) -> None:
    program.write_text(f"#!{sys.executable}\nraise SystemExit('too few tokens')\n")

    with pytest.raises(RuntimeError, match="too few tokens"):
        log_probabilities([str(program)], "a text", IDS, tmp_path / "rows.npy")

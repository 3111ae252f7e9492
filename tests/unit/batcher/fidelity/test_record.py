"""fidelity.json: what is kept, and what a file that cannot be read counts as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from batcher.fidelity.comparison import log_softmax
from batcher.fidelity.record import PROBE_LENGTHS, PROBE_WINDOW, Record, probes_of
from headrace.core.fidelity import Fidelity

FOUND = Fidelity("bfloat16", kl=0.001, top1=0.98, perplexity_ratio=1.001, tokens=320)


def logprobs_of(places: int, vocabulary: int = 11) -> np.ndarray:
    logits = np.random.default_rng(0).standard_normal((places, vocabulary)) * 3
    return log_softmax(logits.astype(np.float32))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    record = Record(probes=probes_of(logprobs_of(300))).with_measured("openvino bfloat16", FOUND)
    record.write(tmp_path / "fidelity.json")
    assert Record.read(tmp_path / "fidelity.json") == record
    assert [file.name for file in tmp_path.iterdir()] == ["fidelity.json"]


def test_another_engine_takes_no_others_place(tmp_path: Path) -> None:
    record = Record().with_measured("a", FOUND).with_measured("b", Fidelity("float32", note="?"))
    record.write(tmp_path / "fidelity.json")
    assert Record.read(tmp_path / "fidelity.json").measured.keys() == {"a", "b"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"measured": {"a": 3}, "probes": []}', "null"])
def test_a_file_that_cannot_be_read_is_an_empty_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "fidelity.json").write_text(text)
    assert Record.read(tmp_path / "fidelity.json") == Record()
    assert Record.read(tmp_path / "absent.json") == Record()


def test_probes_are_the_surest_places_of_their_windows() -> None:
    logprobs = logprobs_of(300)
    probes = probes_of(logprobs)
    assert len(probes) == len(PROBE_LENGTHS)
    for end, probe in zip(PROBE_LENGTHS, probes, strict=True):
        assert end - PROBE_WINDOW < probe.length <= end
        row = logprobs[probe.length - 1]
        assert (probe.token_id, probe.logprob) == (row.argmax(), pytest.approx(row.max()))
        second, first = np.sort(logprobs[end - PROBE_WINDOW : end], axis=-1)[:, -2:].T
        assert probe.lead == pytest.approx((first - second).max())


def test_a_short_text_has_fewer_probes() -> None:
    assert [probe.length for probe in probes_of(logprobs_of(1))] == [1]

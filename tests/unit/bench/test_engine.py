from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from bench.engine import GROUPS, Group, chosen
from bench.engine_crew import ALL
from bench.engine_model import ModelFiles
from bench.engine_report import COMPARISONS


@pytest.fixture
def model(tmp_path: Path) -> ModelFiles:
    return ModelFiles("tiny", tmp_path, tmp_path / "openvino", tmp_path / "tiny.gguf", 320)


def test_llama_cpp_takes_part_where_it_is_asked_for(model: ModelFiles) -> None:
    assert "llama_cpp" not in chosen(Namespace(only=None, llama_cpp=None), model)
    assert "llama_cpp" in chosen(Namespace(only=None, llama_cpp=Path()), model)


def test_only_those_named_take_part(model: ModelFiles) -> None:
    assert chosen(Namespace(only=["torch", "static"], llama_cpp=None), model) == ["static", "torch"]


def test_without_a_gguf_file_llama_cpp_is_left_out(model: ModelFiles) -> None:
    names = chosen(Namespace(only=None, llama_cpp=Path()), replace(model, gguf=None))

    assert names == [name for name in ALL if name != "llama_cpp"]


def test_what_openvino_cannot_read_is_run_by_the_others(model: ModelFiles) -> None:
    names = chosen(Namespace(only=None, llama_cpp=Path()), replace(model, openvino=None))

    assert names == [name for name in ALL if not name.startswith("openvino")]


@pytest.mark.parametrize("name", COMPARISONS)
def test_what_is_compared_runs_side_by_side(name: str) -> None:
    comparison = COMPARISONS[name]
    wanted = {comparison.upper, *comparison.lowers}

    assert any(
        wanted <= set(group.members)
        and (group.workload, group.concurrency) == (comparison.workload, comparison.concurrency)
        for group in GROUPS
    )


@pytest.mark.parametrize(("pairs", "rounds"), [(12, 4), (3, 2), (1, 1)])
def test_a_group_gets_its_share_of_the_pairs(pairs: int, rounds: int) -> None:
    assert Group("equal", 32, ("torch", "static"), share=1 / 3).rounds(pairs) == rounds
    assert Group("equal", 32, ("torch", "static")).rounds(pairs) == pairs

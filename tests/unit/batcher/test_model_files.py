from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from batcher.model_files import INDEX, require_weights
from headrace.core.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model in two files, and their index."""
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name in names:
        save_file({name: np.ones(100, np.float32)}, tmp_path / name)
    weights = {name: name for name in names}
    (tmp_path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weights}))
    return tmp_path


def last(folder: Path) -> Path:
    return folder / "model-00002-of-00002.safetensors"


def test_whole_files_pass(folder: Path) -> None:
    require_weights(folder, "m")


def test_a_file_that_the_index_names_and_that_is_not_there_is_said(folder: Path) -> None:
    last(folder).unlink()
    with pytest.raises(ModelError, match=r"model m is incomplete: .* lacks model-00002"):
        require_weights(folder, "m")


@pytest.mark.parametrize("size", [0, 5, 50, 300])
def test_a_file_that_was_cut_off_is_said(folder: Path, size: int) -> None:
    last(folder).write_bytes(last(folder).read_bytes()[:size])
    with pytest.raises(ModelError, match=r"model m: .*model-00002.* is damaged or incomplete"):
        require_weights(folder, "m")


def test_a_file_that_is_something_else_is_said(folder: Path) -> None:
    last(folder).write_bytes(b"<html>Not found</html>" * 20)
    with pytest.raises(ModelError, match="is damaged or incomplete"):
        require_weights(folder, "m")


def test_a_pointer_of_git_lfs_is_said(folder: Path) -> None:
    last(folder).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ModelError, match="git lfs pull"):
        require_weights(folder, "m")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_an_index_that_is_none_is_said(folder: Path, text: str) -> None:
    (folder / INDEX).write_text(text)
    with pytest.raises(ModelError, match="is no index of weights"):
        require_weights(folder, "m")


def test_a_folder_without_safetensors_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no \*.safetensors"):
        require_weights(tmp_path, "m")

"""A model that says nothing: as small as the pipeline takes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from numpy.typing import NDArray

_WIDTH = 64  # heads below 16 would crash a cache of 8 bits
_LAYER = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def write_probe_model(file: Path, vocabulary: int) -> Path:
    """A Llama of one layer whose weights are zero; its tokens have numbers for names."""
    writer = GGUFWriter(file, "llama")
    _describe(writer, vocabulary)
    rows = {"token_embd": vocabulary, "output": vocabulary}
    for name, count in (rows | {f"blk.0.{part}": _WIDTH for part in _LAYER}).items():
        writer.add_tensor(f"{name}.weight", np.zeros((count, _WIDTH), np.float16))
    for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"):
        writer.add_tensor(name, _ones())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _describe(writer: GGUFWriter, vocabulary: int) -> None:
    writer.add_context_length(_WIDTH)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_file_type(1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([str(token_id) for token_id in range(vocabulary)])
    writer.add_token_types([3] + [1] * (vocabulary - 1))
    writer.add_token_merges(["1 2"])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(0)


def _ones() -> NDArray[np.float32]:
    return np.ones(_WIDTH, np.float32)

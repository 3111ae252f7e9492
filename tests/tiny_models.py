"""Model folders made in a second: random weights, a byte-level tokenizer, a chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as BlockKind
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    DiffLlamaConfig,
    GPT2Config,
    GPTNeoXConfig,
    JetMoeConfig,
    LlamaConfig,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    XGLMConfig,
)
from transformers.utils import logging as transformers_logging

from tests.gguf_blocks import K_BLOCK, file_type, random_blocks

CONTEXT_TOKENS = 256
PHI3_WINDOW = 32
EOS, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SIZES: dict[str, Any] = {
    "max_position_embeddings": CONTEXT_TOKENS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_CORPUS = [
    "The water runs from the headrace over the wheel and back into the river.",
    "Requests wait in a queue; workers take them in batches and answer them in turn.",
    "Grüße aus Köln, 東京 und São Paulo: naïve café, 10 € für zwei 🙂.",
]


def make_tiny_gpt2(folder: Path) -> Path:
    """GPT-2: learned positions."""
    sizes = {"n_positions": CONTEXT_TOKENS, "n_embd": 32, "n_layer": 2, "n_head": 4}
    return make_tiny(GPT2Config, sizes, folder)


def make_tiny_llama(folder: Path) -> Path:
    """Llama, as SmolLM2 is one: rotary positions and grouped key-value heads."""
    return make_tiny(LlamaConfig, SIZES | {"num_key_value_heads": 2}, folder)


def make_tiny_qwen2(folder: Path) -> Path:
    """Qwen2: biases on queries, keys and values, which are random here as well."""
    return make_tiny(Qwen2Config, SIZES | {"num_key_value_heads": 2}, folder)


def make_tiny_qwen3(folder: Path) -> Path:
    """Qwen3: norms on queries and keys, heads wider than their share of the hidden states."""
    return make_tiny(Qwen3Config, SIZES | {"num_key_value_heads": 2, "head_dim": 16}, folder)


def make_tiny_neox(folder: Path) -> Path:
    """GPT-NeoX: rotary positions on a part of each head, attention beside the feed-forward."""
    return make_tiny(GPTNeoXConfig, SIZES | {"use_parallel_residual": True}, folder)


def make_tiny_diffllama(folder: Path) -> Path:
    """DiffLlama takes its values apart along a dimension that a cache of slots has elsewhere."""
    return make_tiny(DiffLlamaConfig, SIZES | {"num_key_value_heads": 2}, folder)


def make_tiny_jetmoe(folder: Path) -> Path:
    """JetMoe repeats its keys along such a dimension."""
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    sizes = SIZES | experts | {"num_key_value_heads": 2, "kv_channels": 8}
    return make_tiny(JetMoeConfig, sizes, folder)


def make_tiny_xglm(folder: Path) -> Path:
    """XGLM has an attention of its own."""
    sizes = {"d_model": 32, "ffn_dim": 64, "num_layers": 2, "attention_heads": 4}
    sizes["max_position_embeddings"] = CONTEXT_TOKENS
    return make_tiny(XGLMConfig, sizes, folder)


def make_tiny_phi3(folder: Path) -> Path:
    """Phi-3 with longrope: other frequencies for contexts beyond its `PHI3_WINDOW` tokens."""
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0, 1.1, 1.2, 1.3],
        "long_factor": [2.0, 3.0, 5.0, 8.0],
    }
    sizes = {"original_max_position_embeddings": PHI3_WINDOW, "rope_parameters": rope}
    return make_tiny(Phi3Config, SIZES | {"num_key_value_heads": 2} | sizes, folder)


MAKERS = {
    "gpt2": make_tiny_gpt2,
    "llama": make_tiny_llama,
    "qwen2": make_tiny_qwen2,
    "qwen3": make_tiny_qwen3,
    "neox": make_tiny_neox,
}
"""One model of each family that the engine is tested with."""


def make_tiny_llama_gguf(
    folder: Path, rope_factors: Sequence[float] = (), kind: BlockKind | None = None
) -> Path:
    """A GGUF file with a Llama of two layers, 16-bit weights and the tokenizer of the others.

    `rope_factors` divide its rotary frequencies, as those of Llama 3.1 do. A `kind` of blocks
    holds all its matrices, which are then as wide as the largest blocks.
    """
    width, inner, layers, heads, kv_heads = 32, 64, 2, 4, 2
    if kind is not None:
        width, inner = K_BLOCK, 2 * K_BLOCK
    tokenizer = make_tokenizer()
    vocabulary = tokenizer.get_vocab_size()
    numbers = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_block_count(layers)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(vocabulary)
    writer.add_file_type(file_type(kind) if kind else gguf.LlamaFileType.MOSTLY_F16)
    _add_tokenizer(writer, tokenizer)

    def add(name: str, *shape: int) -> None:
        if kind is not None and len(shape) == 2:
            blocks = random_blocks((shape[0], shape[1]), kind, numbers)
            writer.add_tensor(f"{name}.weight", blocks, raw_dtype=kind)
            return
        if len(shape) == 1:
            values = np.ones(shape, np.float32)
        else:
            values = (numbers.standard_normal(shape) * 0.3).astype(np.float16)
        writer.add_tensor(f"{name}.weight", values)

    if rope_factors:
        writer.add_tensor("rope_freqs.weight", np.array(rope_factors, np.float32))
    add("token_embd", vocabulary, width)
    add("output", vocabulary, width)
    add("output_norm", width)
    kv_width = width // heads * kv_heads
    for layer in range(layers):
        for norm in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{norm}", width)
        add(f"blk.{layer}.attn_q", width, width)
        add(f"blk.{layer}.attn_k", kv_width, width)
        add(f"blk.{layer}.attn_v", kv_width, width)
        add(f"blk.{layer}.attn_output", width, width)
        add(f"blk.{layer}.ffn_gate", inner, width)
        add(f"blk.{layer}.ffn_up", inner, width)
        add(f"blk.{layer}.ffn_down", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "tiny.gguf"


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    tokens = [tokenizer.id_to_token(token_id) for token_id in range(tokenizer.get_vocab_size())]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    kinds = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(tokens) - 3)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_chat_template(CHAT_TEMPLATE)


def make_tokenizer() -> Tokenizer:
    """Byte-level BPE with a few hundred tokens: any text has ids, many characters several."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[EOS, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return tokenizer


def make_tiny(config_class: type[PreTrainedConfig], sizes: dict[str, Any], folder: Path) -> Path:
    """A model of any family, with the same random weights every time."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    eos = tokenizer.token_to_id(EOS)
    config = config_class(
        vocab_size=tokenizer.get_vocab_size(),
        initializer_range=0.3,
        bos_token_id=eos,
        eos_token_id=eos,
        pad_token_id=eos,
        **sizes,
    )
    model: Any = AutoModelForCausalLM.from_config(config)
    _randomise_biases(model)
    return _save(model, tokenizer, folder)


def _randomise_biases(model: Any) -> None:
    """Fresh biases are 0 and fresh norms 1: an engine that forgot them would not be noticed."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += torch.randn_like(parameter) * 0.1


def _save(model: Any, tokenizer: Tokenizer, folder: Path) -> Path:
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, bos_token=EOS, chat_template=CHAT_TEMPLATE
    ).save_pretrained(folder)
    return folder

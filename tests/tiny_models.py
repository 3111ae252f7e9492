"""Model folders made in a second: random weights, a byte-level tokenizer, a chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)
from transformers.utils import logging as transformers_logging

CONTEXT_TOKENS = 256
EOS, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
_SIZES = {
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
    return _make(GPT2Config, sizes, folder)


def make_tiny_llama(folder: Path) -> Path:
    """Llama, as SmolLM2 is one: rotary positions and grouped key-value heads."""
    return _make(LlamaConfig, _SIZES | {"num_key_value_heads": 2}, folder)


def make_tiny_qwen2(folder: Path) -> Path:
    """Qwen2: biases on queries, keys and values, which are random here as well."""
    return _make(Qwen2Config, _SIZES | {"num_key_value_heads": 2}, folder)


def make_tiny_qwen3(folder: Path) -> Path:
    """Qwen3: norms on queries and keys, heads wider than their share of the hidden states."""
    return _make(Qwen3Config, _SIZES | {"num_key_value_heads": 2, "head_dim": 16}, folder)


def make_tiny_neox(folder: Path) -> Path:
    """GPT-NeoX: rotary positions on a part of each head, attention beside the feed-forward."""
    return _make(GPTNeoXConfig, _SIZES | {"use_parallel_residual": True}, folder)


MAKERS = {
    "gpt2": make_tiny_gpt2,
    "llama": make_tiny_llama,
    "qwen2": make_tiny_qwen2,
    "qwen3": make_tiny_qwen3,
    "neox": make_tiny_neox,
}
"""One model of each family that the engine is tested with."""


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


def _make(config_class: type[PreTrainedConfig], sizes: dict[str, Any], folder: Path) -> Path:
    """A model with the same random weights every time."""
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

"""Model folders made in a second: random weights, a byte-level tokenizer, a chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

CONTEXT_TOKENS = 256
EOS, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
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
    """A GPT-2 of two layers with learned positions; the same weights every time."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=CONTEXT_TOKENS,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.3,
        **_special_ids(tokenizer),
    )
    return _save(GPT2LMHeadModel(config), tokenizer, folder)


def make_tiny_llama(folder: Path) -> Path:
    """A Llama of two layers with rotary positions and grouped key-value heads."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=CONTEXT_TOKENS,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        **_special_ids(tokenizer),
    )
    return _save(LlamaForCausalLM(config), tokenizer, folder)


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


def _special_ids(tokenizer: Tokenizer) -> dict[str, Any]:
    eos = tokenizer.token_to_id(EOS)
    return {"bos_token_id": eos, "eos_token_id": eos, "pad_token_id": eos}


def _save(model: Any, tokenizer: Tokenizer, folder: Path) -> Path:
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, bos_token=EOS, chat_template=CHAT_TEMPLATE
    ).save_pretrained(folder)
    return folder

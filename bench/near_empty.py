"""A model with next to nothing in it: what a step takes beside it is the engine's own doing."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models
from transformers import LlamaConfig, LlamaForCausalLM

from headrace.core.model_card import ModelCard

HIDDEN = 16
CONTEXT_TOKENS = 2048
LOGITS_SPREAD = 8.0
"""Standard deviation of the logits: a few ids hold nearly all of the mass, as with real models."""


def make_model(vocabulary: int) -> Any:
    """One layer of 16 numbers a token, in float32, and logits for `vocabulary` ids."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=False,
    )
    model: Any = LlamaForCausalLM(config)
    model.eval().requires_grad_(False)
    # The last norm leaves a hidden state of the length sqrt(HIDDEN).
    model.lm_head.weight.normal_(std=LOGITS_SPREAD / HIDDEN**0.5)
    return model


def make_card(vocabulary: int) -> ModelCard:
    """A byte-level tokenizer of `vocabulary` ids, none of which ends an output."""
    tokens = {f"Ġtoken{number}": number for number in range(vocabulary)}
    tokenizer = Tokenizer(models.BPE(vocab=tokens, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    name = f"near-empty-{vocabulary}"
    return ModelCard(name, tokenizer.to_str(), CONTEXT_TOKENS, eos_token_ids=())

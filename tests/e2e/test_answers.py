"""Everyday questions: the answers of a newcomer's deployment are those of the model itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, GgufConfig

from batcher.gguf_reading import one_reading
from batcher.model_source import resolve_source
from batcher.model_store import prepare_model
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from tests.deployment import Deploy, Deployment

QUESTIONS = (
    "What is the capital of Italy?",
    "How many days are in a leap year?",
    "Write a short greeting for a birthday card.",
    "Why is the sky blue?",
    "Name three fruits that are red.",
    "How do I boil an egg?",
    "What does a compiler do?",
    "Translate 'good morning' into French.",
    "Who wrote Romeo and Juliet?",
    "Give me one tip for sleeping better.",
)
TOKENS = 10
CLOSE = 0.2
"""Logits: a difference between two tokens as near as this counts for nothing."""


@pytest.fixture(scope="module")
def card(smollm2_models: Any) -> ModelCard:
    return prepare_model(Settings(state_dir=smollm2_models.parent), print).card


@pytest.fixture(scope="module")
def model() -> Any:
    """The bundled model, dequantised as its file defines it, in float32."""
    file = resolve_source("smollm2").path
    assert file is not None
    with one_reading():
        return AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            local_files_only=True,
        ).eval()


@pytest.fixture(scope="module")
def newcomers(deploy: Deploy) -> Deployment:
    """Whatever `headrace up` chooses by itself."""
    return deploy()


def test_ten_everyday_questions_are_answered_as_the_model_would(
    newcomers: Deployment, card: ModelCard, model: Any
) -> None:
    same = [
        is_same(ask(newcomers, question), *greedy(model, card, question), card)
        for question in QUESTIONS
    ]
    assert sum(same) >= 8, dict(zip(QUESTIONS, same, strict=True))


def ask(deployment: Deployment, question: str) -> list[str]:
    """The texts of the first tokens of the answer."""
    body = {
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": TOKENS,
        "logprobs": True,
    }
    answer = httpx.post(f"{deployment.url}/v1/chat/completions", json=body, timeout=60).json()
    return [token["token"] for token in answer["choices"][0]["logprobs"]["content"]]


def greedy(model: Any, card: ModelCard, question: str) -> tuple[list[int], list[float]]:
    """The model's own first ids, and by how much the logit of each leads."""
    prompt = torch.tensor([card.tokenize_chat([{"role": "user", "content": question}])])
    with torch.inference_mode():
        made = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=TOKENS,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
            pad_token_id=0,
        )
    leads = [float(-torch.diff(row[0].topk(2).values)) for row in made.logits]
    return made.sequences[0, prompt.shape[1] :].tolist(), leads


def is_same(texts: list[str], ids: list[int], leads: list[float], card: ModelCard) -> bool:
    """Up to the first difference: behind it both answer something else."""
    for text, token_id, lead in zip(texts, ids, leads, strict=False):
        if token_id in card.eos_token_ids:
            return True
        if text != card.tokenizer.decode([token_id]):
            return lead <= CLOSE
    return True

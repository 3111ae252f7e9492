"""TorchEngine against transformers' own `generate`, on tiny models and on SmolLM2."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from batcher.model_store import PreparedModel, prepare_model
from batcher.torch_engine import attention
from batcher.torch_engine.cache import layer_shapes
from batcher.torch_engine.engine import TorchEngine
from batcher.torch_engine.model import load_model, make_ready, read_model
from batcher.torch_engine.self_check import check, make_reference
from headrace.core.errors import EngineError, ModelError
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings
from headrace.core.types import Request, Room, Sampling
from tests.integration.torch_engines import assert_greedy, engine_of, plain_model, settings
from tests.unit.batcher.driving import Output, a_request, drain, run_alone, take

PROMPTS = [
    "Hello",
    "The water runs from the headrace over the wheel",
    "東京 " * 12,
    "a queue",
    "Requests wait in a queue; workers take them in batches. " * 3,
    "x",
    "naïve café",
]


@pytest.fixture(scope="module")
def smollm2(smollm2_models: Path) -> PreparedModel:
    own = load_settings(state_dir=smollm2_models.parent, engine="torch", max_context_tokens=512)
    return prepare_model(own, progress=print)


def poison(engine: TorchEngine, token_id: int) -> None:
    """From now on the model makes NaN of this id, as an overflow would."""

    def spoil(module: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        return output.masked_fill((inputs[0] == token_id)[..., None], torch.nan)

    engine._forward._model.get_input_embeddings().register_forward_hook(spoil)


def requests_of(card: ModelCard, max_tokens: int) -> list[Request]:
    return [a_request(f"r{n}", card.tokenize(text), max_tokens) for n, text in enumerate(PROMPTS)]


def test_greedy_output_alone_is_that_of_generate(tiny: PreparedModel) -> None:
    engine, model = engine_of(tiny), plain_model(tiny)
    for request in requests_of(tiny.card, max_tokens=24):
        output = run_alone(engine, request)
        assert_greedy(model, request.prompt_ids, output, max_tokens=24)


@pytest.mark.parametrize("prefill_tokens", [1, 7, 16, 512])
@pytest.mark.parametrize("steps_between", [0, 1, 5])
def test_greedy_output_among_mates_is_that_of_generate(
    tiny: PreparedModel, prefill_tokens: int, steps_between: int
) -> None:
    engine, model = engine_of(tiny, prefill_tokens=prefill_tokens), plain_model(tiny)
    requests = requests_of(tiny.card, max_tokens=24)
    outputs: dict[str, Output] = {}
    for request in requests:
        engine.add(request)
        for _ in range(steps_between):
            take(engine.step(), outputs)
    drain(engine, outputs)
    for request in requests:
        assert_greedy(model, request.prompt_ids, outputs[request.id], max_tokens=24)


def test_greedy_output_is_the_same_where_rows_attend_in_spans(
    tiny: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.torch_engine.forward.CPU_CALL_TOKENS", 0)
    engine, model = engine_of(tiny), plain_model(tiny)
    requests = requests_of(tiny.card, max_tokens=24)
    for request in requests:
        engine.add(request)
    outputs = drain(engine)
    for request in requests:
        assert_greedy(model, request.prompt_ids, outputs[request.id], max_tokens=24)


def test_logprobs_are_those_of_the_plain_model(tiny: PreparedModel) -> None:
    request = a_request("a", [40, 41, 42], 12, temperature=1.5, top_k=9, seed=3, logprobs=4)
    output = run_alone(engine_of(tiny), request)
    ids = torch.tensor([[*request.prompt_ids, *output.ids]])
    expected = plain_model(tiny)(ids).logits[0, 2:-1].log_softmax(-1)
    assert [entry.token_id for entry in output.logprobs] == output.ids
    for entry, row in zip(output.logprobs, expected, strict=True):
        top = row.topk(4)
        assert entry.logprob == pytest.approx(row[entry.token_id].item(), abs=1e-4)
        assert [id_ for id_, _ in entry.top] == top.indices.tolist()
        assert [number for _, number in entry.top] == pytest.approx(top.values.tolist(), abs=1e-4)


def test_rows_decode_while_a_long_prompt_is_read(tiny: PreparedModel) -> None:
    engine = engine_of(tiny)
    engine.add(a_request("short", [40, 41], max_tokens=60))
    engine.step()
    engine.add(a_request("long", [40 + n % 100 for n in range(100)], max_tokens=2))
    deltas = [engine.step() for _ in range(6)]
    assert [[delta.request_id for delta in step] for step in deltas] == [["short"]] * 6
    assert {delta.request_id for delta in engine.step()} == {"short", "long"}


def test_a_prompt_whose_numbers_overflow_fails_alone(tiny: PreparedModel) -> None:
    engine = engine_of(tiny, prefill_tokens=64)
    good = [a_request(f"good{n}", [40 + n, 41, 42], max_tokens=8) for n in range(3)]
    expected = {request.id: run_alone(engine, request) for request in good}
    bad_id = next(id_ for id_ in range(50, 320) if all(id_ not in o.ids for o in expected.values()))
    poison(engine, bad_id)
    outputs: dict[str, Output] = {}
    engine.add(good[0])
    take(engine.step(), outputs)
    engine.add(good[1])
    engine.add(a_request("bad", [50, bad_id, 51]))
    engine.add(good[2])
    drain(engine, outputs)
    assert outputs.pop("bad") == Output(error="the model's output is not a number")
    assert outputs == expected
    assert run_alone(engine, a_request("later", [40] * 40)).error is None


def test_a_poisoned_long_prompt_does_not_take_others_along(tiny: PreparedModel) -> None:
    engine = engine_of(tiny, max_slots=2)
    good = a_request("good", [40, 41, 42], max_tokens=8)
    expected = run_alone(engine, good)
    bad_id = next(id_ for id_ in range(50, 320) if id_ not in expected.ids)
    poison(engine, bad_id)
    engine.add(a_request("bad", [bad_id, *range(20, 57)]))
    engine.add(good)
    outputs = drain(engine)
    assert outputs["bad"].error is not None
    assert outputs["good"] == expected
    assert run_alone(engine, good) == expected


def break_forward(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(engine._forward, "_model", broken)


def test_a_forward_that_breaks_ends_the_engine(
    tiny: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(tiny)
    break_forward(engine, monkeypatch, RuntimeError("shapes do not match"))
    engine.add(a_request("a", [40]))
    with pytest.raises(EngineError, match="shapes do not match"):
        engine.step()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    ],
)
def test_what_memory_did_not_suffice_for_may_be_tried_again(
    tiny: PreparedModel, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    engine = engine_of(tiny)
    request = a_request("decodes", [40, 41])
    expected = run_alone(engine, request)
    engine.add(request)
    engine.step()
    engine.add(a_request("is half read", range(40, 60)))
    with monkeypatch.context() as patch:
        break_forward(engine, patch, error)
        deltas = engine.step()

    assert {delta.request_id for delta in deltas} == {"decodes", "is half read"}
    assert all(delta.may_pass and "memory" in (delta.error or "") for delta in deltas)
    assert engine.is_idle
    assert run_alone(engine, request) == expected


def test_bfloat16_serves_the_same_folder(tiny: PreparedModel) -> None:
    engine = engine_of(tiny, dtype="bfloat16")
    assert len(run_alone(engine, a_request("a", [40, 41], max_tokens=5)).ids) == 5


def test_a_window_narrower_than_the_context_is_refused(tmp_path: Path) -> None:
    make_windowed(tmp_path, sliding_window=8)
    with pytest.raises(ModelError, match="other than full attention"):
        load_model(settings(max_context_tokens=9), tmp_path)
    assert load_model(settings(max_context_tokens=8), tmp_path).config.sliding_window == 8


ONE_LAYER: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def make_windowed(folder: Path, sliding_window: int) -> None:
    config = MistralConfig(**ONE_LAYER, sliding_window=sliding_window)
    MistralForCausalLM(config).save_pretrained(folder)


def test_a_model_that_counts_positions_itself_is_refused(tmp_path: Path) -> None:
    config = BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2)
    BloomForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="positions"):
        load_model(settings(), tmp_path)


def test_a_model_that_does_not_run_is_found_out_at_load(
    tiny: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = make_reference(plain_model(tiny), tiny.card)
    engine = engine_of(tiny)
    monkeypatch.setattr(engine._forward, "_model", None)
    with pytest.raises(ModelError, match="does not run"):
        engine.warm_up(reference)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot load"):
        load_model(settings(), tmp_path)


def test_smollm2_answers_greedily_as_generate_does(smollm2: PreparedModel) -> None:
    engine, model = engine_of(smollm2, prefill_tokens=32), plain_model(smollm2)
    questions = ["Why is the sky blue?", "Write a haiku about water, please."]
    requests = [
        a_request(question, smollm2.card.tokenize_chat([{"role": "user", "content": question}]), 12)
        for question in questions
    ]
    for request in requests:
        engine.add(request)
    outputs = drain(engine)
    for request in requests:
        assert_greedy(model, request.prompt_ids, outputs[request.id], max_tokens=12)


def test_smollm2_samples_the_same_answer_whatever_runs_beside_it(smollm2: PreparedModel) -> None:
    engine = engine_of(smollm2)
    prompt = smollm2.card.tokenize_chat([{"role": "user", "content": "Tell me a story."}])
    rules = Sampling(max_tokens=8, temperature=0.8, top_p=0.9, seed=11)
    request = Request("a", "smollm2", smollm2.card.hash, prompt, rules)
    alone = run_alone(engine, request)
    engine.add(a_request("mate", smollm2.card.tokenize("Once upon a time"), 8))
    engine.step()
    engine.add(request)
    assert drain(engine)["a"] == alone


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_self_check_of_smollm2_takes_less_than_a_second(
    smollm2: PreparedModel, dtype: str
) -> None:
    """Of one core; the best of three times, since others may want it too."""
    own = settings(dtype=dtype)
    plain = read_model(own, smollm2.path)
    begun = time.process_time()
    reference = make_reference(plain, smollm2.card)
    reference_s = time.process_time() - begun
    forward = TorchEngine(make_ready(plain, own), own, smollm2.card)._forward
    checks_s = []
    for _ in range(3):
        begun = time.process_time()
        check(reference, forward, smollm2.card, has_neighbour=True)
        checks_s.append(time.process_time() - begun)
    assert reference_s + min(checks_s) < 1


SYSTEM = "Requests wait in a queue; workers take them in batches. " * 2


def sharing(card: ModelCard, tail: str) -> list[int]:
    return card.tokenize(SYSTEM + tail)


def test_a_shared_beginning_is_read_once_and_reported(tiny: PreparedModel) -> None:
    engine, model = engine_of(tiny, prefill_tokens=512), plain_model(tiny)
    prompts = {name: sharing(tiny.card, name) for name in ("one", "two", "three", "four")}
    last: dict[str, int] = {}
    outputs: dict[str, Output] = {}
    for name, prompt in prompts.items():
        engine.add(a_request(name, prompt, max_tokens=9))
    while not engine.is_idle:
        deltas = engine.step()
        take(deltas, outputs)
        last |= {delta.request_id: delta.cached_tokens for delta in deltas}
    shared = len(tiny.card.tokenize(SYSTEM))
    assert last["one"] == 0
    assert all(last[name] >= shared - 1 for name in ("two", "three", "four"))
    stats = engine.stats()
    assert stats.cached_tokens == sum(last.values())
    assert stats.prefill_tokens + stats.cached_tokens == sum(map(len, prompts.values()))
    for name, prompt in prompts.items():
        assert_greedy(model, prompt, outputs[name], max_tokens=9)


def test_a_conversation_goes_on_behind_what_it_has_read(tiny: PreparedModel) -> None:
    engine, model = engine_of(tiny), plain_model(tiny)
    first = sharing(tiny.card, "hello")
    answer = run_alone(engine, a_request("first", first, max_tokens=20))
    for n in range(2):  # others come between
        run_alone(engine, a_request(f"other{n}", [50 + n] * 30, max_tokens=5))
    second = [*first, *answer.ids, *tiny.card.tokenize("and then?")]
    before = engine.stats().prefill_tokens
    output = run_alone(engine, a_request("second", second, max_tokens=9))
    assert engine.stats().prefill_tokens - before <= len(second) - len(first) - len(answer.ids) + 1
    assert_greedy(model, second, output, max_tokens=9)


def test_what_failed_is_never_reused(tiny: PreparedModel) -> None:
    engine = engine_of(tiny, prefill_tokens=512)
    poison(engine, 77)
    bad = a_request("bad", [*range(20, 60), 77])
    for _attempt in range(2):
        assert run_alone(engine, bad).error == "the model's output is not a number"
    good = run_alone(engine, a_request("good", range(20, 60)))
    assert good.error is None
    assert engine.stats().cached_tokens == 0


def test_with_a_small_cache_requests_take_turns(tiny: PreparedModel) -> None:
    """Room for two requests of full length and a bit; four slots."""
    token_bytes = sum(shape.numbers for shape in layer_shapes(plain_model(tiny))) * 4
    engine = engine_of(tiny, kv_cache_gb=600 * token_bytes / 1e9, prefill_tokens=512)
    assert engine.room() == Room(4, 600)
    requests = [a_request(f"r{n}", [40 + n] * 150, max_tokens=50) for n in range(6)]
    expected = [run_alone(engine_of(tiny), request) for request in requests]
    for request in requests:
        engine.add(request)
    outputs: dict[str, Output] = {}
    most = 0
    while not engine.is_idle:
        take(engine.step(), outputs)
        most = max(most, len(engine._scheduler._slots.rows))
    assert most <= 3
    assert [outputs[request.id] for request in requests] == expected
    assert engine.room() == Room(4, 600)


def test_a_cache_that_cannot_hold_one_request_is_refused(tiny: PreparedModel) -> None:
    with pytest.raises(ModelError, match="HEADRACE_KV_CACHE_GB"):
        engine_of(tiny, kv_cache_gb=1e-6)


def test_a_gpu_that_is_not_there_is_refused(
    tiny: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="HEADRACE_DEVICE is cuda"):
        engine_of(tiny, device="cuda")


def test_a_model_whose_attention_is_not_ours_is_refused(tmp_path: Path) -> None:
    config = Gemma2Config(**ONE_LAYER, head_dim=8, layer_types=["full_attention"])
    model = Gemma2ForCausalLM(config)
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="softcap"):
        load_model(settings(), tmp_path)
    model.set_attn_implementation(attention.NAME)
    with pytest.raises(ModelError, match="its attention uses softcap"):
        layer_shapes(model)

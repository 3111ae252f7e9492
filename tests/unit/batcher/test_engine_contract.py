"""What every engine promises, asked of each of them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from batcher.detokenizer import Detokenizer
from headrace.core.model_card import ModelCard
from headrace.core.types import Feature, FinishReason, Request, Room
from tests.tokenizers_of_kinds import KINDS
from tests.unit.batcher.driving import MakeEngine, Output, a_request, drain, run_alone, take

GREEDY = {"temperature": 0.0}
SAMPLED = {"temperature": 1.2, "top_k": 40, "top_p": 0.95, "seed": 7}


@pytest.fixture
def endless(card: ModelCard) -> ModelCard:
    """A card without an end of sequence, for tests that count tokens."""
    return replace(card, eos_token_ids=())


def with_rules(request: Request, **rules: Any) -> Request:
    return replace(request, sampling=replace(request.sampling, **rules))


def test_a_request_gets_as_many_tokens_as_it_asked_for(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    output = run_alone(make_engine(endless), a_request("a", [40, 41, 42], max_tokens=9))
    assert len(output.ids) == 9
    assert output.finish_reason is FinishReason.LENGTH


def test_a_request_for_no_tokens_ends_without_any(make_engine: MakeEngine) -> None:
    output = run_alone(make_engine(), a_request("a", [40], max_tokens=0))
    assert output == Output(finish_reason=FinishReason.LENGTH)


@pytest.mark.parametrize("temperature", [0.0, 3.0])
def test_the_text_is_that_of_the_ids_though_tokens_split_its_characters(
    make_engine: MakeEngine, endless: ModelCard, temperature: float
) -> None:
    rules = {"temperature": temperature, "seed": 1}
    output = run_alone(make_engine(endless), a_request("a", card_ids(endless), 80, **rules))
    assert output.text == endless.tokenizer.decode(output.ids)


def card_ids(card: ModelCard) -> tuple[int, ...]:
    """Of a text whose characters take one token to four."""
    return card.tokenize("Grüße, 東京 🙂")


def test_an_end_of_sequence_that_is_an_ordinary_token_counts_and_is_not_shown(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    request = a_request("a", card_ids(endless), 9)
    made = run_alone(make_engine(endless), request).ids
    place = max(place for place in range(9) if made[place] not in made[:place])
    card = replace(endless, eos_token_ids=(made[place],))
    for published in range(place):
        output = run_alone(make_engine(card), request, made[:published])
        ids = made[:published] + output.ids
        shown = [token_id for token_id in ids if token_id != made[place]]
        before = Detokenizer(card.token_bytes, request.prompt_ids).add(made[:published])
        assert ids[:place] == made[:place]
        assert before + output.text == card.tokenizer.decode(shown)
        assert output.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)


@pytest.mark.parametrize("kind", ["llama 2", "gemma", "metaspace first", "metaspace and bytes"])
def test_an_output_keeps_the_space_that_it_begins_with(
    make_local_engine: MakeEngine, endless: ModelCard, kind: str
) -> None:
    """SentencePiece writes the space before a word into its token, and drops that of a text."""
    tokenizer = words_of(KINDS[kind])
    engine = make_local_engine(replace(endless, tokenizer_json=tokenizer.to_str()))
    begins = set()
    for first in range(40, 60):
        prompt = [first, 41, 42]
        output = run_alone(engine, a_request("a", prompt, 4, temperature=2.0, seed=first))
        for end in range(len(output.ids)):
            ids = [*prompt, *output.ids[:end]]
            rest = run_alone(engine, a_request("a", prompt, 4), output.ids[:end])
            whole = tokenizer.decode([*ids, *rest.ids])
            assert tokenizer.decode(ids) + rest.text == whole
            begins.add(rest.text[:1])
    assert " " in begins and "w" in begins


def words_of(kind: Tokenizer) -> Tokenizer:
    """A tokenizer of words, every other of which begins with a space, with a kind's decoder."""
    names = {f"{'▁' if number % 2 else ''}w{number}": number for number in range(320)}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="w0"))
    tokenizer.decoder = kind.decoder
    return tokenizer


def test_each_step_answers_in_the_order_of_arrival(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    engine = make_engine(endless)
    engine.add(a_request("long", range(30, 60)))
    engine.add(a_request("bad", []))
    engine.add(a_request("short", [40]))
    order = ["long", "bad", "short"]
    while not engine.is_idle:
        places = [order.index(delta.request_id) for delta in engine.step()]
        assert places == sorted(set(places))


def test_a_step_brings_a_request_at_most_one_token(
    make_local_engine: MakeEngine, endless: ModelCard
) -> None:
    engine = make_local_engine(endless)
    for name in "abc":
        engine.add(a_request(name, [40, 50]))
    while not engine.is_idle:
        assert all(len(delta.token_ids) <= 1 for delta in engine.step())


@pytest.mark.parametrize(
    ("prompt_ids", "max_tokens", "complaint"),
    [
        ([], 5, "the prompt is empty"),
        (range(10, 60), 250, "50 prompt tokens and 250 output tokens exceed the context"),
        ([40] * 256, 1, "256 prompt tokens and 1 output tokens exceed the context"),
        ([40, 10**6], 5, "outside the model's vocabulary"),
        ([40, -1], 5, "outside the model's vocabulary"),
    ],
)
def test_a_bad_request_fails_alone(
    make_engine: MakeEngine, prompt_ids: list[int], max_tokens: int, complaint: str
) -> None:
    expected = run_alone(make_engine(), a_request("good", [40, 41]))
    engine = make_engine()
    engine.add(a_request("good", [40, 41]))
    engine.add(a_request("bad", prompt_ids, max_tokens))
    outputs = drain(engine)
    assert complaint in str(outputs["bad"].error)
    assert outputs["bad"].ids == []
    assert outputs["good"] == expected


@pytest.mark.parametrize("max_tokens", [1, 56])
def test_a_request_that_just_fits_the_context_is_served(
    make_engine: MakeEngine, endless: ModelCard, max_tokens: int
) -> None:
    prompt_ids = [40 + n for n in range(256 - max_tokens)]
    output = run_alone(make_engine(endless), a_request("a", prompt_ids, max_tokens))
    assert len(output.ids) == max_tokens


def test_the_same_id_twice_at_once_is_refused(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.add(a_request("a", [40]))
    with pytest.raises(ValueError, match="already"):
        engine.add(a_request("a", [41]))


def test_an_aborted_request_is_not_heard_of_again(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    engine = make_engine(endless)
    for name in "abc":
        engine.add(a_request(name, [40, 41], max_tokens=200))
    outputs: dict[str, Output] = {}
    take(engine.step(), outputs)
    heard = deepcopy(outputs["b"])  # an engine beside the caller may be many steps ahead
    engine.abort("b")
    engine.abort("never heard of")
    drain(engine, outputs)
    assert outputs["b"] == heard
    assert outputs["a"].is_over and outputs["c"].is_over


def test_an_abort_frees_its_slot_at_once(make_engine: MakeEngine) -> None:
    engine = make_engine()
    empty = engine.room()
    engine.add(a_request("a", [40]))
    engine.abort("a")
    assert engine.room() == empty
    assert engine.is_idle


def test_an_abort_in_the_middle_of_a_long_prompt_frees_its_slot_at_once(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()
    expected = run_alone(engine, a_request("mate", [40, 41]))
    engine.add(a_request("long", [40] * 200, max_tokens=50))
    engine.add(a_request("mate", [40, 41]))
    outputs: dict[str, Output] = {}
    take(engine.step(), outputs)
    with_it, is_over = engine.room(), "long" in outputs and outputs["long"].is_over
    engine.abort("long")
    assert engine.room().slots == with_it.slots + (not is_over)
    drain(engine, outputs)
    assert outputs["mate"] == expected


def test_an_abort_behind_the_last_token_changes_nothing(make_engine: MakeEngine) -> None:
    engine = make_engine()
    empty = engine.room()
    output = run_alone(engine, a_request("a", [40, 41]))
    engine.abort("a")
    assert output.is_over
    assert engine.is_idle
    assert engine.room() == empty


def test_all_may_be_aborted_and_others_take_their_slots(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    engine = make_engine(endless)
    expected = run_alone(engine, a_request("solo", [50, 51]))
    for name in "abcd":
        engine.add(a_request(name, [40, 41]))
    engine.step()
    for name in "abcd":
        engine.abort(name)
    for name in "efgh":
        engine.add(a_request(name, [50, 51]))
    assert list(drain(engine).values()) == [expected] * 4


def test_an_aborted_id_may_come_back(make_engine: MakeEngine) -> None:
    engine = make_engine()
    expected = run_alone(engine, a_request("a", [40, 41]))
    engine.add(a_request("a", [50, 51]))
    engine.step()
    engine.abort("a")
    assert run_alone(engine, a_request("a", [40, 41])) == expected


def test_room_shrinks_with_every_request_taken_in(make_engine: MakeEngine, card: ModelCard) -> None:
    engine = make_engine(max_slots=2)
    assert engine.room() == Room(2, 2 * card.context_tokens)
    engine.add(a_request("a", [40], max_tokens=12))
    assert engine.room() == Room(1, 2 * card.context_tokens - 13)
    engine.add(a_request("b", [40]))
    engine.add(a_request("c", [40]))
    assert engine.room() == Room(0, 0)


def test_more_requests_than_slots_are_all_served(make_engine: MakeEngine) -> None:
    engine = make_engine(max_slots=2)
    for n in range(7):
        engine.add(a_request(f"r{n}", [40 + n]))
    assert all(output.is_over for output in drain(engine).values())


@pytest.mark.parametrize("rules", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("published", [1, 5, 11])
def test_a_resumed_request_continues_as_if_never_interrupted(
    make_engine: MakeEngine, endless: ModelCard, rules: dict[str, Any], published: int
) -> None:
    request = a_request("a", [60, 61, 62], **rules)
    engine = make_engine(endless)
    engine.add(request)
    steps = []
    while not engine.is_idle:
        steps += engine.step()
    whole = Output()
    before = Output()
    for count, delta in enumerate(steps):
        whole.absorb(delta)
        if count < published:
            before.absorb(delta)
    engine.add(a_request("mate", range(40, 70), max_tokens=3))
    engine.add(request, before.ids)
    resumed = drain(engine)["a"]
    assert before.ids + resumed.ids == whole.ids
    assert before.text + resumed.text == whole.text
    assert resumed.finish_reason is whole.finish_reason


@pytest.mark.parametrize("rules", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_resume_behind_ids_of_another_model_goes_on_the_same_way_each_time(
    make_engine: MakeEngine, endless: ModelCard, rules: dict[str, Any]
) -> None:
    request = a_request("a", [60, 61, 62], **rules)
    published = [90, 80, 70, 60]
    engine = make_engine(endless)
    first = run_alone(engine, request, published)
    assert len(first.ids) == request.sampling.max_tokens - len(published)
    assert run_alone(engine, request, published) == first


def test_a_seed_draws_the_same_tokens_whoever_shares_the_batch(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    request = a_request("a", [60, 61, 62], **SAMPLED)
    engine = make_engine(endless)
    alone = run_alone(engine, request)
    for name in "bc":
        engine.add(a_request(name, [60, 61, 62], temperature=1.0, seed=ord(name)))
    engine.add(request)
    assert drain(engine)["a"] == alone


def test_each_token_has_its_logprob_where_the_request_asked(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    engine = make_engine(endless)
    engine.add(a_request("asked", [40, 41], max_tokens=5, logprobs=0))
    engine.add(a_request("did not ask", [40, 41], max_tokens=5))
    while not engine.is_idle:
        for delta in engine.step():
            if delta.request_id == "did not ask":
                assert delta.logprobs is None
                continue
            entries = delta.logprobs or ()
            assert tuple(entry.token_id for entry in entries) == delta.token_ids
            assert all(entry.logprob <= 0 and entry.top == () for entry in entries)


ALTERNATIVES = 3
"""Most that a request of these tests asks for."""


@pytest.fixture
def make_knowing(make_engine: MakeEngine, endless: ModelCard) -> MakeEngine:
    """Makes engines that know the alternatives of a token; one that does not ends the test."""
    assert Feature.TOP_LOGPROBS in make_engine(endless).features
    return make_engine


def alternatives_of(output: Output) -> list[Any]:
    """Token, logprob and alternatives of each place, so that nearly equal numbers are equal."""
    assert [entry.token_id for entry in output.logprobs] == output.ids
    assert all(output.error is None and entry.logprob <= 0 for entry in output.logprobs)
    return [
        [entry.token_id, near(entry.logprob), [(i, near(value)) for i, value in entry.top]]
        for entry in output.logprobs
    ]


def near(logprob: float) -> Any:
    return pytest.approx(logprob, abs=1e-4)


@pytest.mark.parametrize("rules", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_alternatives_are_the_likeliest_tokens_and_agree_with_the_token(
    make_knowing: MakeEngine, endless: ModelCard, rules: dict[str, Any]
) -> None:
    engine = make_knowing(endless)
    asked = run_alone(engine, a_request("a", [60, 61, 62], logprobs=ALTERNATIVES, **rules))
    plain = run_alone(engine, a_request("a", [60, 61, 62], logprobs=0, **rules))
    assert (asked.ids, asked.text) == (plain.ids, plain.text)
    for entry, alone in zip(asked.logprobs, plain.logprobs, strict=True):
        values = [logprob for _token_id, logprob in entry.top]
        assert values == sorted(values, reverse=True)
        assert 1 <= len(values) <= ALTERNATIVES
        assert len(dict(entry.top)) == len(values)
        assert alone.logprob == near(entry.logprob)
        assert dict(entry.top).get(entry.token_id, entry.logprob) == entry.logprob
        assert entry.token_id in dict(entry.top) or entry.logprob <= values[-1]


def test_a_resumed_request_has_the_alternatives_it_would_have_had(
    make_knowing: MakeEngine, endless: ModelCard
) -> None:
    engine = make_knowing(endless)
    for prompt_tokens in (1, 32, 100):
        prompt = [40 + n % 90 for n in range(prompt_tokens)]
        request = a_request("a", prompt, logprobs=ALTERNATIVES)
        whole = run_alone(engine, request)
        for published in (1, 5, 11):
            rest = run_alone(engine, request, whole.ids[:published])
            assert whole.ids[:published] + rest.ids == whole.ids
            assert alternatives_of(rest) == alternatives_of(whole)[published:]


def test_requests_that_ask_for_alternatives_and_others_do_not_change_each_other(
    make_knowing: MakeEngine, endless: ModelCard
) -> None:
    engine = make_knowing(endless)
    asked = [a_request(f"r{n}", range(40, 41 + 9 * n), logprobs=1 + n % 3) for n in range(9)]
    other = a_request("other", [40, 41], max_tokens=30)
    alone = {request.id: run_alone(engine, request) for request in [*asked, other]}
    for request in [*asked, other]:
        engine.add(request)
    together = drain(engine)
    assert together["other"] == alone["other"]
    for request in asked:
        assert together[request.id].text == alone[request.id].text
        assert alternatives_of(together[request.id]) == alternatives_of(alone[request.id])
    assert engine.room() == make_knowing(endless).room()


def test_alternatives_end_with_their_request(make_knowing: MakeEngine, endless: ModelCard) -> None:
    request = a_request("a", [60, 61, 62], logprobs=1)
    whole = run_alone(make_knowing(endless), request)
    engine = make_knowing(endless)
    for rules in ({"stop": (whole.text[2:4],)}, {"stop_token_ids": (whole.ids[5],)}):
        output = run_alone(engine, with_rules(request, **rules))
        assert alternatives_of(output)[:2] == alternatives_of(whole)[:2]
        if output.finish_reason is FinishReason.STOP:
            assert len(output.ids) < len(whole.ids)
            assert alternatives_of(output) == alternatives_of(whole)[: len(output.ids)]


def test_a_request_that_is_aborted_leaves_its_alternatives_behind(
    make_knowing: MakeEngine, endless: ModelCard
) -> None:
    engine = make_knowing(endless)
    request = a_request("a", [60, 61, 62], logprobs=2)
    expected = run_alone(engine, request)
    for steps in range(6):
        engine.add(a_request("a", range(40, 140), max_tokens=50, logprobs=3))
        for _step in range(steps):
            engine.step()
        engine.abort("a")
        assert engine.is_idle
        output = run_alone(engine, request)
        assert output.text == expected.text
        assert alternatives_of(output) == alternatives_of(expected)


@pytest.mark.parametrize(
    ("feature", "rules"),
    [
        (Feature.TOP_LOGPROBS, {"logprobs": 1}),
        (Feature.JSON_SCHEMA, {"json_schema": '{"type": "boolean"}'}),
        (Feature.LOGIT_BIAS, {"logit_bias": ((40, 1.0),)}),
    ],
)
def test_an_engine_can_do_what_it_says_and_nothing_else(
    make_engine: MakeEngine, feature: Feature, rules: dict[str, Any]
) -> None:
    engine = make_engine()
    output = run_alone(engine, a_request("a", [40, 41], **rules))
    assert (output.error is None) == (feature in engine.features)


def test_a_prompt_that_begins_like_an_earlier_one_gets_the_output_it_always_gets(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    start = [40 + n % 90 for n in range(100)]
    expected = run_alone(make_engine(endless, prefix_caching=False), a_request("a", [*start, 7]))
    engine = make_engine(endless)
    run_alone(engine, a_request("first", [*start, 9]))
    assert run_alone(engine, a_request("second", [*start, 7])) == expected


def test_a_json_schema_is_held_or_refused(
    make_engine: MakeEngine,
) -> None:
    schema = '{"enum": ["headrace", "wheel"]}'
    engine = make_engine()
    engine.add(a_request("good", [40, 41]))
    engine.add(a_request("schema", [40, 41], max_tokens=40, json_schema=schema))
    outputs = drain(engine)
    assert outputs["good"] == run_alone(engine, a_request("good", [40, 41]))
    if Feature.JSON_SCHEMA in engine.features:
        assert outputs["schema"].text in ('"headrace"', '"wheel"')
        assert outputs["schema"].finish_reason is FinishReason.STOP
    else:
        assert "json_schema: this engine cannot hold output" in str(outputs["schema"].error)


def test_resume_ids_that_used_up_max_tokens_only_end_the_request(make_engine: MakeEngine) -> None:
    output = run_alone(make_engine(), a_request("a", [40], max_tokens=3), [50, 51, 52])
    assert output == Output(finish_reason=FinishReason.LENGTH)


def test_resume_ids_that_end_the_sequence_only_end_the_request(
    make_engine: MakeEngine, card: ModelCard
) -> None:
    resume_ids = [50, card.eos_token_ids[0]]
    output = run_alone(make_engine(), a_request("a", [40]), resume_ids)
    assert output == Output(finish_reason=FinishReason.STOP)


def test_resume_ids_that_hold_a_stop_string_only_end_the_request(
    make_engine: MakeEngine, card: ModelCard
) -> None:
    request = a_request("a", [40], stop=("queue",))
    output = run_alone(make_engine(), request, card.tokenize("a queue"))
    assert output == Output(finish_reason=FinishReason.STOP)


@pytest.mark.parametrize("rules", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_stop_token_ends_the_output_and_is_not_shown(
    make_engine: MakeEngine, endless: ModelCard, rules: dict[str, Any]
) -> None:
    request = a_request("a", [40, 41, 42], **rules)
    free = run_alone(make_engine(endless), request).ids
    place = free.index(free[2])
    output = run_alone(make_engine(endless), with_rules(request, stop_token_ids=(free[2],)))
    assert output.ids == free[: place + 1]
    assert output.text == endless.tokenizer.decode(free[:place])
    assert output.finish_reason is FinishReason.STOP


@pytest.mark.parametrize("rules", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_no_end_is_among_the_first_tokens(
    make_engine: MakeEngine, endless: ModelCard, rules: dict[str, Any]
) -> None:
    request = a_request("a", [40, 41, 42], 30, **rules)
    free = run_alone(make_engine(endless), request).ids
    card = replace(endless, eos_token_ids=(free[1],))
    patient = with_rules(request, stop_token_ids=(free[4],), min_tokens=9)
    output = run_alone(make_engine(card), patient)
    assert {free[1], free[4]}.isdisjoint(output.ids[:9])
    assert len(output.ids) >= 9
    for published in (1, 8, len(output.ids) - 1):
        resumed = run_alone(make_engine(card), patient, output.ids[:published])
        assert output.ids[:published] + resumed.ids == output.ids
        assert resumed.finish_reason is output.finish_reason


def test_an_ignored_end_of_sequence_is_an_ordinary_token(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    request = a_request("a", [40, 41, 42], 20)
    free = run_alone(make_engine(endless), request)
    card = replace(endless, eos_token_ids=(free.ids[3],))
    endures = with_rules(request, ignore_eos=True)
    output = run_alone(make_engine(card), endures)
    assert (len(output.ids), output.finish_reason) == (20, FinishReason.LENGTH)
    assert run_alone(make_engine(card), endures, output.ids[:5]).ids == output.ids[5:]


def test_rules_of_single_requests_leave_their_neighbours_alone(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    engine = make_engine(endless)
    request = a_request("a", [40, 41, 42])
    free = run_alone(engine, request)
    engine.add(with_rules(request, stop_token_ids=tuple(free.ids[:1])))
    engine.add(replace(with_rules(request, min_tokens=6, stop_token_ids=(free.ids[2],)), id="b"))
    engine.add(replace(request, id="c"))
    assert drain(engine)["c"] == free


def test_special_tokens_have_text_where_a_request_asks_for_it(
    make_engine: MakeEngine, card: ModelCard, endless: ModelCard
) -> None:
    special = card.eos_token_ids[0]
    request = a_request("a", [special, 40, 41], 20, skip_special_tokens=False, temperature=3.0)
    output = run_alone(make_engine(endless), request)
    assert output.text == endless.tokenizer.decode(output.ids, skip_special_tokens=False)


@pytest.mark.parametrize(
    ("field", "ids"), [("stop_token_ids", (10**6,)), ("logit_bias", ((10**6, 1.0),))]
)
def test_rules_about_ids_that_the_model_does_not_have_fail_by_name(
    make_engine: MakeEngine, field: str, ids: Any
) -> None:
    output = run_alone(make_engine(), a_request("a", [40], **{field: ids}))
    assert str(output.error).startswith(f"{field}: ")


@pytest.mark.parametrize("rules", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_bias_forces_an_id_or_leaves_it_out(
    make_engine: MakeEngine, endless: ModelCard, rules: dict[str, Any]
) -> None:
    engine = make_engine(endless)
    if Feature.LOGIT_BIAS not in engine.features:
        bias = a_request("a", [40], logit_bias=((50, 100.0),))
        assert str(run_alone(engine, bias).error).startswith("logit_bias: ")
        return
    request = a_request("a", [40, 41, 42], **rules)
    free = run_alone(engine, request).ids
    forced = run_alone(engine, with_rules(request, logit_bias=((50, 100.0),)))
    assert forced.ids == [50] * 12
    without = run_alone(engine, with_rules(request, logit_bias=((free[0], -100.0),)))
    assert free[0] not in without.ids
    resumed = run_alone(
        engine, with_rules(request, logit_bias=((free[0], -100.0),)), without.ids[:4]
    )
    assert resumed.ids == without.ids[4:]


def test_a_stop_string_over_several_tokens_ends_the_text_before_it(
    make_engine: MakeEngine, endless: ModelCard
) -> None:
    prompt = endless.tokenize("abcdefgh ")
    free = run_alone(make_engine(endless), a_request("a", prompt, 30))
    at = next(n for n in range(1, len(free.text) - 4) if free.text[n : n + 3].isprintable())
    stop = free.text[at : at + 3]
    output = run_alone(make_engine(endless), a_request("a", prompt, 30, stop=(stop,)))
    assert output.finish_reason is FinishReason.STOP
    assert output.text == free.text[: free.text.index(stop)]
    assert output.ids == free.ids[: len(output.ids)]


def test_stats_count_rows_and_tokens(make_engine: MakeEngine, endless: ModelCard) -> None:
    engine = make_engine(endless)
    engine.add(a_request("a", [40, 41, 42], max_tokens=4))
    engine.add(a_request("b", [50, 51], max_tokens=4))
    assert engine.stats().running == 2
    drain(engine)
    stats = engine.stats()
    assert (stats.running, stats.slots, stats.steps) == (0, 4, 4)
    assert (stats.rows, stats.prefill_tokens, stats.output_tokens) == (8, 5, 8)
    assert stats.mean_batch_size == 2


def test_model_seconds_only_grow(make_local_engine: MakeEngine, endless: ModelCard) -> None:
    engine = make_local_engine(endless, simulated_alpha_s=0.001)
    engine.add(a_request("a", [40, 41, 42], max_tokens=3))
    deltas = [delta for _ in range(3) for delta in engine.step()]
    assert 0 < deltas[0].prefill_s == deltas[2].prefill_s
    assert 0 == deltas[0].decode_s < deltas[1].decode_s < deltas[2].decode_s


def test_a_closed_engine_has_dropped_its_requests(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.add(a_request("a", [40]))
    engine.close()
    engine.close()
    assert engine.is_idle

"""The official `openai` package, unmodified, and langchain against a deployment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI

from tests.deployment import Deploy, Deployment
from tests.waiting import eventually

MODEL = "smollm2"
HELLO: list[Any] = [{"role": "user", "content": "one two three four"}]
SLOTS, WAITING, WAIT_S = 8, 16, 2.0
LONG = 600
"""Tokens that take longer than the API waits."""


@pytest.fixture(scope="module")
def simulated(deploy: Deploy) -> Deployment:
    """Repeats prompts, 10 ms a token; its queue is short and the API impatient."""
    return deploy(
        HEADRACE_ENGINE="simulated",
        HEADRACE_MAX_SLOTS=str(SLOTS),
        HEADRACE_QUEUE_MAX_JOBS=str(WAITING),
        HEADRACE_MAX_WAIT_S=str(WAIT_S),
    )


def client_of(deployment: Deployment, **options: Any) -> openai.OpenAI:
    options = {"max_retries": 0} | options
    return openai.OpenAI(base_url=f"{deployment.url}/v1", api_key="none", **options)


@pytest.fixture
def client(simulated: Deployment) -> Iterator[openai.OpenAI]:
    with client_of(simulated) as client:
        yield client


@pytest.fixture
def model_client(deployment: Deployment) -> Iterator[openai.OpenAI]:
    """Of a deployment with a real model."""
    with client_of(deployment) as client:
        yield client


@contextmanager
def counted(deployment: Deployment, count: int) -> Iterator[list[str]]:
    """The ids of the jobs that come meanwhile, once they have; so many there must be."""
    before = set(deployment.newest())
    job_ids: list[str] = []
    yield job_ids
    job_ids += [job_id for job_id in deployment.newest() if job_id not in before]
    assert len(job_ids) == count


# -- answers ---------------------------------------------------------------------------------------


def test_a_chat_is_answered_with_its_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=6)

    (choice,) = answer.choices
    assert (choice.message.role, choice.finish_reason) == ("assistant", "length")
    assert choice.message.content
    assert choice.logprobs is None
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 6
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 0


def test_a_chat_streams_the_same_text_and_its_usage_last(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=6)
    stream = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        max_tokens=6,
        stream=True,
        stream_options={"include_usage": True},
    )

    *chunks, last = stream
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "length"
    assert {chunk.usage for chunk in chunks} == {None}
    assert (last.choices, last.usage) == ([], whole.usage)


def test_a_completion_is_answered_whole_and_as_a_stream(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": MODEL, "prompt": "alpha beta gamma", "max_tokens": 5}
    whole = client.completions.create(**asked)
    stream = client.completions.create(**asked, stream=True)

    assert whole.choices[0].text.startswith("alpha beta gamma")
    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text


def test_a_stop_string_ends_an_answer(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="alpha beta gamma", max_tokens=9, stop=[" beta", "x"]
    )

    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("alpha", "stop")


def test_prompts_and_choices_come_by_index(client: openai.OpenAI) -> None:
    prompts = ["alpha beta gamma", "one two three"]
    answer = client.completions.create(model=MODEL, prompt=prompts, n=2, max_tokens=3)

    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text.split()[0] for choice in answer.choices] == [
        *["alpha", "alpha"],
        *["one", "one"],
    ]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


def test_the_choices_of_a_stream_interleave(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, n=3, max_tokens=20, stream=True
    )
    choices = [chunk.choices[0] for chunk in stream]

    texts = ["".join(c.delta.content or "" for c in choices if c.index == i) for i in range(3)]
    assert len(set(texts)) == 1
    ends = [place for place, choice in enumerate(choices) if choice.finish_reason]
    assert [choices[place].finish_reason for place in ends] == ["length"] * 3
    assert {choice.index for choice in choices[: ends[0]]} == {0, 1, 2}


def test_a_prompt_may_be_token_ids(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt=[[40, 41], [42]], max_tokens=2)

    assert answer.usage is not None
    assert (len(answer.choices), answer.usage.prompt_tokens) == (2, 3)


def test_the_jobs_of_a_raw_answer_can_be_looked_up(
    client: openai.OpenAI, simulated: Deployment
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, n=2, max_tokens=2
    )

    job_ids = raw.headers["X-Headrace-Job-Id"].split(", ")
    assert raw.parse().id == f"chatcmpl-{job_ids[0]}"
    assert [simulated.job(job_id)["status"] for job_id in job_ids] == ["succeeded"] * 2
    assert "queue_wait" in raw.headers["Server-Timing"]


def test_our_own_fields_are_taken_beside_openais(
    client: openai.OpenAI, simulated: Deployment
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=[{"role": "developer", "content": "be brief"}, *HELLO],
        max_completion_tokens=2,
        presence_penalty=0.5,
        user="somebody",
        store=False,
        extra_body={"priority": "interactive", "min_p": 0.1, "repetition_penalty": 1.1},
    )

    assert simulated.job(raw.headers["X-Headrace-Job-Id"])["priority"] == "interactive"


def test_the_asynchronous_client_streams_as_well(simulated: Deployment) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{simulated.url}/v1", api_key="none") as client:
            stream = await client.completions.create(
                model=MODEL, prompt="alpha beta gamma", max_tokens=3, stream=True
            )
            return [chunk.choices[0].text async for chunk in stream]

    assert "".join(asyncio.run(ask())).startswith("alpha")


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"n": 17}, "n"),
        ({"logit_bias": {"40": 101}}, "logit_bias.40"),
        ({"extra_body": {"colour": "red"}}, "colour"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_a_bad_request_names_its_field(
    client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=MODEL, messages=HELLO, **fields)

    assert raised.value.param == param


def test_another_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    assert raised.value.code == "model_not_found"

    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_a_change_that_comes_too_late_is_a_conflict(client: openai.OpenAI) -> None:
    raw = client.completions.with_raw_response.create(model=MODEL, prompt="x", max_tokens=1)
    path = f"/jobs/{raw.headers['X-Headrace-Job-Id']}"

    with pytest.raises(openai.ConflictError):
        client.patch(path, body={"priority": "batch"}, cast_to=object)


def test_a_wait_that_ends_first_is_an_error_that_the_client_does_not_repeat(
    simulated: Deployment,
) -> None:
    with (
        client_of(simulated, max_retries=2) as client,
        counted(simulated, 1) as job_ids,
        pytest.raises(openai.InternalServerError) as raised,
    ):
        client.completions.create(model=MODEL, prompt="x", max_tokens=LONG)

    assert raised.value.status_code == 504
    assert raised.value.response.headers["X-Headrace-Job-Id"] in job_ids
    assert raised.value.body["job_id"] in job_ids  # type: ignore[index]
    assert simulated.job(job_ids[0])["status"] == "running"
    simulated.cancel(job_ids)


def test_a_client_that_gives_up_submits_once_a_try_and_its_jobs_are_cancelled(
    simulated: Deployment,
) -> None:
    patience = {"timeout": 0.5, "max_retries": 1}
    with (
        client_of(simulated, **patience) as client,
        counted(simulated, 2) as job_ids,
        pytest.raises(openai.APITimeoutError),
    ):
        client.completions.create(model=MODEL, prompt="x", max_tokens=100)

    statuses = [simulated.job(job_id, wait_s=2)["status"] for job_id in job_ids]
    assert statuses == ["cancelled"] * 2


def test_a_job_that_is_cancelled_is_an_error_of_the_server(
    client: openai.OpenAI, simulated: Deployment
) -> None:
    with counted(simulated, 1) as job_ids:
        stream = client.completions.create(model=MODEL, prompt="x", max_tokens=LONG, stream=True)
        next(stream)
    simulated.cancel(job_ids)

    with pytest.raises(openai.APIError, match="cancelled"):
        list(stream)


def test_a_full_queue_is_a_rate_limit_that_says_when_to_come_again(
    client: openai.OpenAI, simulated: Deployment
) -> None:
    job_ids = [simulated.submit("x", max_tokens=LONG) for _slot in range(SLOTS)]
    eventually(lambda: simulated.job(job_ids[-1])["status"] == "running")
    job_ids += [simulated.submit("x", max_tokens=LONG) for _place in range(WAITING)]

    with pytest.raises(openai.RateLimitError) as raised:
        client.completions.create(model=MODEL, prompt="x", max_tokens=1)
    simulated.cancel(reversed(job_ids))

    assert float(raised.value.response.headers["Retry-After"]) > 0


# -- a real model ----------------------------------------------------------------------------------

CAPITAL: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_tokens": 8,
}


@pytest.mark.parametrize("deployment", ["torch", "openvino"], indirect=True)
def test_a_chat_has_the_logprobs_of_its_tokens_and_of_alternatives(
    model_client: openai.OpenAI,
) -> None:
    asked = CAPITAL | {"temperature": 0, "logprobs": True, "top_logprobs": 3}
    answer = model_client.chat.completions.create(**asked)

    (choice,) = answer.choices
    assert choice.logprobs is not None
    tokens = choice.logprobs.content or []
    assert answer.usage is not None
    assert len(tokens) == answer.usage.completion_tokens == 8
    assert "".join(token.token for token in tokens) == f"{choice.message.content}<|im_end|>"
    for token in tokens:
        assert token.bytes is not None
        assert bytes(token.bytes).decode() == token.token
        logprobs = [top.logprob for top in token.top_logprobs]
        assert logprobs == sorted(logprobs, reverse=True)
        # Greedy: the likeliest is drawn.
        assert (token.top_logprobs[0].token, logprobs[0]) == (token.token, token.logprob)

    chunks = model_client.chat.completions.create(**asked, stream=True)
    pieces = [chunk.choices[0].logprobs for chunk in chunks]
    streamed = [token.token for piece in pieces if piece for token in piece.content or []]
    assert streamed == [token.token for token in tokens]


def test_a_completion_has_logprobs_in_its_own_form(model_client: openai.OpenAI) -> None:
    answer = model_client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=6, temperature=0, logprobs=2
    )

    (choice,) = answer.choices
    assert choice.logprobs is not None
    tokens, offsets = choice.logprobs.tokens or [], choice.logprobs.text_offset or []
    assert "".join(tokens) == choice.text
    assert [
        choice.text[start:][: len(token)] for token, start in zip(tokens, offsets, strict=True)
    ] == tokens
    assert [len(top) for top in choice.logprobs.top_logprobs or []] == [2] * 6
    assert all(logprob <= 0 for logprob in choice.logprobs.token_logprobs or [])


def test_a_seed_draws_the_same_choices_again_and_each_its_own(
    model_client: openai.OpenAI,
) -> None:
    def texts(n: int) -> list[str | None]:
        answer = model_client.chat.completions.create(**CAPITAL, n=n, seed=7, temperature=1.5)
        return [choice.message.content for choice in answer.choices]

    three = texts(3)
    assert len(set(three)) > 1
    assert texts(3) == three
    assert texts(1) == three[:1]


@pytest.mark.parametrize("deployment", ["torch", "openvino"], indirect=True)
def test_json_fits_its_schema(model_client: openai.OpenAI) -> None:
    place = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}}
    schema = {"name": "place", "schema": place | {"required": ["city"]}, "strict": True}
    answer = model_client.chat.completions.create(
        **CAPITAL | {"max_tokens": 60},
        temperature=0,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert isinstance(json.loads(answer.choices[0].message.content or "")["city"], str)

    answer = model_client.chat.completions.create(
        **CAPITAL | {"max_tokens": 200},
        temperature=0,
        logprobs=True,
        top_logprobs=2,
        response_format={"type": "json_object"},
    )
    assert (answer.choices[0].message.content or "").startswith("{")
    assert answer.choices[0].logprobs is not None


# -- langchain -------------------------------------------------------------------------------------


@pytest.fixture
def langchain(simulated: Deployment) -> ChatOpenAI:
    return ChatOpenAI(
        model=MODEL,
        base_url=f"{simulated.url}/v1",
        api_key="none",
        max_tokens=20,
        max_retries=0,
        stream_usage=True,
    )


def test_langchain_chats(langchain: ChatOpenAI) -> None:
    message = langchain.invoke([("system", "be brief"), ("human", "one two three four")])

    assert message.text
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] == 20


def test_langchain_streams(langchain: ChatOpenAI) -> None:
    chunks = list(langchain.stream("one two three four"))

    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert "".join(chunk.text for chunk in chunks) == langchain.invoke("one two three four").text

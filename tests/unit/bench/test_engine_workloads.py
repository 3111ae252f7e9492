from __future__ import annotations

import json

from bench.engine_workloads import FULL, Prompt, Workloads


def test_equal_requests_are_all_of_one_length() -> None:
    prompts = Workloads(FULL, vocabulary=1000).equal(32)

    assert len(prompts) == 32
    assert {(len(prompt.ids), prompt.output_tokens) for prompt in prompts} == {(39, 64)}


def test_mixed_requests_have_the_same_lengths_every_time_and_never_the_same_ids() -> None:
    workloads = Workloads(FULL, vocabulary=1000)
    first, second = workloads.mixed(8), workloads.mixed(8)

    assert [_size(prompt) for prompt in first] == [_size(prompt) for prompt in second]
    assert len({prompt.ids for prompt in first + second}) == 32


def test_mixed_requests_keep_to_their_bounds() -> None:
    for length, output_tokens in map(_size, Workloads(FULL, vocabulary=1000).mixed(32)):
        assert 20 <= length <= 400
        assert 8 <= output_tokens <= 128


def test_ids_are_of_the_vocabulary() -> None:
    rows, long = Workloads(FULL, vocabulary=50).interruption()

    assert len(rows) == 16
    assert len(long.ids) == 2000
    assert max(max(prompt.ids) for prompt in (*rows, long)) < 50


def test_a_prompt_crosses_the_pipe_unchanged() -> None:
    prompt = Prompt((1, 2, 3), 7)

    assert Prompt.decode(json.loads(json.dumps(prompt.encode()))) == prompt


def _size(prompt: Prompt) -> tuple[int, int]:
    return len(prompt.ids), prompt.output_tokens

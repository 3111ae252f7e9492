"""What a load tester must not hide, and that it sends what it says."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headrace.cli.main import cli
from headrace.loadtest.loads import Limits
from headrace.loadtest.result import Result
from tests.load import closed, constant, load
from tests.openai_server import OpenAiServer

STALL_S = 5.0
REQUESTS = Limits(warmup_s=0.0, duration_s=None, requests=320)


def p99_s(result: Result) -> float:
    assert result.figures.e2e is not None
    assert result.figures.e2e.percentiles[99].supported
    return result.figures.e2e.percentiles[99].value


def test_an_open_loop_shows_a_stall_that_a_closed_loop_hides() -> None:
    """Coordinated omission: a user who waits sends nothing meanwhile."""
    with OpenAiServer(service_s=0.01, servers=100, stall=(40, STALL_S)) as server:
        [of_schedule] = load(server.url, constant(40), limits=REQUESTS)
    with OpenAiServer(service_s=0.01, servers=100, stall=(40, STALL_S)) as server:
        [of_users] = load(server.url, closed(1), limits=REQUESTS)
    assert 0.9 * STALL_S <= p99_s(of_schedule) <= 1.1 * STALL_S
    assert p99_s(of_users) < 0.1 * STALL_S


WARMED = ("--warmup", "0", "--no-progress")
CALIBRATION = 2
"""Requests that ask for the length of words."""


def run(server: OpenAiServer, folder: Path, *options: str) -> dict[str, Any]:
    """The report of a whole load test."""
    out = folder / "out.json"
    command = ["loadtest", "--url", server.url, *WARMED, *options, "--json", str(out)]
    result = CliRunner().invoke(cli, command)
    assert out.exists(), result.output
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def texts(server: OpenAiServer) -> list[list[str]]:
    """The words of each last question, as the server got them: two tokens each."""
    bodies = server.bodies[CALIBRATION:]
    return [body["messages"][-1]["content"].split() for body in bodies]


def shared_words(one: list[str], other: list[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def test_prompts_of_a_trace_of_mooncake_have_its_lengths_and_share_its_blocks(
    tmp_path: Path,
) -> None:
    """Counted by what the server got: a block of 512 tokens is 256 of its words."""
    ids = [[7, 8, 9], [7, 8, 10], [7, 11], [7, 8, 9], [12]]
    lengths = [1505, 1505, 905, 1205, 305]
    rows = [
        {"timestamp": 50 * n, "input_length": length, "output_length": n + 3, "hash_ids": each}
        for n, (each, length) in enumerate(zip(ids, lengths, strict=True))
    ]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(map(json.dumps, rows)))
    with OpenAiServer(servers=10) as server:
        run(server, tmp_path, "--trace", f"mooncake:{trace}")
    assert [body["max_tokens"] for body in server.bodies[CALIBRATION:]] == [3, 4, 5, 6, 7]
    sent = texts(server)
    assert [5 + 2 * len(words) for words in sent] == lengths
    assert [shared_words(sent[0], other) for other in sent[1:4]] == [512, 256, (1205 - 5) // 2]
    assert shared_words(sent[0], sent[4]) < 5


def test_prompts_share_their_prefixes_and_nothing_else(tmp_path: Path) -> None:
    options = ("--dataset", "prefix:prefixes=2,prefix_tokens=200", "--prompt-tokens", "45")
    with OpenAiServer(service_s=0.005) as server:
        report = run(server, tmp_path, *options, "--concurrency", "1", "--requests", "20")
    sent = texts(server)
    assert {len(words) for words in sent} == {(200 + 45 - 5) // 2}
    prefixes = Counter(tuple(words[:100]) for words in sent)
    assert sorted(prefixes.values()) == [10, 10]
    assert len({tuple(words[100:]) for words in sent}) == 20
    assert set(report["levels"][0]["records"]["input_tokens"]) == {245}


def test_a_conversation_is_sent_with_the_answers_of_the_server(tmp_path: Path) -> None:
    options = ("--dataset", "turns:turns=3,think_s=0.05", "--concurrency", "2")
    with OpenAiServer(service_s=0.01, servers=2) as server:
        report = run(server, tmp_path, *options, "--duration", "1.5")
    sent = [body["messages"] for body in server.bodies[CALIBRATION:]]
    by_first: dict[str, list[list[dict[str, str]]]] = {}
    for messages in sent:
        by_first.setdefault(messages[0]["content"], []).append(messages)
    for turns in by_first.values():
        for before, after in pairwise(turns):
            assert after[: len(before)] == before
            assert after[len(before)] == {"role": "assistant", "content": "word " * 4}
    [level] = report["levels"]
    assert [turn["turn"] for turn in level["turns"]] == [1, 2, 3]
    assert sum(turn["requests"] for turn in level["turns"]) == len(sent) == level["requests"]
    one, two, three = (turn["input_tokens"] for turn in level["turns"])
    assert one < two < three
    assert not [each for each in level["problems"] if each.startswith("concurrency")]


@pytest.mark.parametrize("api", ["stream", "sync"])
def test_conversations_of_a_file_have_answers_as_long_as_theirs(tmp_path: Path, api: str) -> None:
    """Ten characters a word, two tokens a word: five characters a token."""
    question, answer = "questions " * 10, "answering " * 20
    turns = [("human", question), ("gpt", answer)] * 2
    row = {"conversations": [{"from": who, "value": text} for who, text in turns]}
    file = tmp_path / "chats.json"
    file.write_text(json.dumps([row] * 10))
    options = ("--dataset", f"sharegpt:{file},turns=2", "--concurrency", "1", "--requests", "10")
    with OpenAiServer(service_s=0.005) as server:
        report = run(server, tmp_path, *options, "--api", api)
    bodies = server.bodies[CALIBRATION:]
    assert {body["max_tokens"] for body in bodies} == {40}
    assert [len(body["messages"]) for body in bodies] == [1, 3] * 5
    assert bodies[1]["messages"][1] == {"role": "assistant", "content": "word " * 4}
    assert report["load"]["dataset"] == f"sharegpt:{file},turns=2,think_s=0"


def test_goodput_by_name_is_what_the_requests_of_the_report_say(tmp_path: Path) -> None:
    options = ("--goodput", "chat=ttft:30,tpot:6", "--goodput", "quick=e2e:45")
    with OpenAiServer(service_s=0.02, is_exponential=True) as server:
        report = run(server, tmp_path, *options, "--concurrency", "2", "--requests", "60")
    [level] = report["levels"]
    columns = ("measured", "ttft_s", "tpot_s", "e2e_s", "output_tokens")
    rows = list(zip(*(level["records"][name] for name in columns), strict=True))
    assert len(rows) == 60
    chat = sum(ttft_s <= 0.03 and tpot_s <= 0.006 for _, ttft_s, tpot_s, _, _ in rows)
    quick = sum(e2e_s <= 0.045 for _, _, _, e2e_s, _ in rows)
    slo = sum(ttft_s <= 1 and e2e_s <= 1 + 0.15 * tokens for _, ttft_s, _, e2e_s, tokens in rows)
    counts = {"slo": slo, "chat": chat, "quick": quick}
    assert 0 < chat < 60 and 0 < quick < 60
    for name, count in counts.items():
        assert level["goodput"][name]["share"] == pytest.approx(count / 60)
        per_s = level["goodput"][name]["per_s"]
        assert per_s == pytest.approx(count / level["window_s"], rel=0.01)


def test_a_ramp_shows_the_load_at_which_throughput_stops(tmp_path: Path) -> None:
    with OpenAiServer(service_s=0.04, servers=2) as server:
        report = run(server, tmp_path, "--concurrency", "1:6", "--duration", "6")
    [level] = report["levels"]
    assert level["level"] == "1:6"
    assert [window["load"] for window in level["windows"]] == [1, 2, 3, 4, 5, 6]
    per_s = [window["throughput_per_s"] for window in level["windows"]]
    latencies = [window["e2e_s"]["p50"] for window in level["windows"]]
    assert per_s[1] > 1.5 * per_s[0]
    assert per_s[5] < 1.3 * per_s[1]
    assert latencies[5] > 2 * latencies[1]


def test_levels_run_in_turn_and_report_medians(tmp_path: Path) -> None:
    options = ("--concurrency", "1,2", "--requests", "20", "--repeat", "3")
    with OpenAiServer(service_s=0.01, servers=2) as server:
        report = run(server, tmp_path, *options)
    order = sorted(report["levels"], key=lambda level: float(level["began_s"]))
    assert [(level["level"], level["run"]) for level in order] == [
        (label, number) for number in (1, 2, 3) for label in ("1", "2")
    ]
    one = report["repeats"][0]
    assert (one["level"], one["runs"]) == ("1", 3)
    valid = [each for each in report["levels"] if each["level"] == "1" and each["valid"]]
    if one["valid"]:
        values = sorted(each["e2e_s"]["p50"]["value"] for each in valid)
        found = one["figures"]["e2e.p50"]
        assert values[0] <= found["value"] <= values[-1]
        assert found["low"] < found["value"] < found["high"]

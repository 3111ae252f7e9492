"""The options of the service benchmark."""

from __future__ import annotations

from argparse import Namespace

import pytest

from bench import service, service_peers
from bench.report import RESULTS


def parse(monkeypatch: pytest.MonkeyPatch, *options: str) -> Namespace:
    monkeypatch.setattr("sys.argv", ["service", *options])
    return service._parse()


def test_by_itself_every_engine_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = parse(monkeypatch)

    assert (arguments.engines, arguments.users) == (service.ENGINES, [1, 8, 32, 64])
    assert (arguments.pairs, arguments.json) == (12, RESULTS / "service.json")


def test_peers_have_users_and_a_result_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = parse(monkeypatch, "--peers")

    assert (arguments.engines, arguments.users) == (service_peers.ALL, [1, 8, 32])
    assert (arguments.pairs, arguments.json) == (3, RESULTS / "service_peers.json")


def test_a_part_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = parse(monkeypatch, "--engines", "torch", "--users", "8,32", "--pairs", "2")

    assert (arguments.engines, arguments.users, arguments.pairs) == (["torch"], [8, 32], 2)


def test_others_are_measured_beside_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        parse(monkeypatch, "--engines", "llama_cpp")

from __future__ import annotations

from pathlib import Path

from headrace.core.memory import machine_memory


def test_a_container_has_what_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    assert machine_memory(tmp_path / "memory.max") == 1_000_000


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    whole = machine_memory(tmp_path / "no-such-file")
    assert whole == machine_memory(tmp_path / "memory.max") > 10**8

from __future__ import annotations

from pathlib import Path

from headrace.core.memory import available_memory, machine_memory


def test_a_container_has_what_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    assert machine_memory(tmp_path / "memory.max") == 1_000_000


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    whole = machine_memory(tmp_path / "no-such-file")
    assert whole == machine_memory(tmp_path / "memory.max") > 10**8


def test_what_a_container_may_still_take_is_available(tmp_path: Path) -> None:
    machine = tmp_path / "meminfo"
    machine.write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    limit = tmp_path / "memory.max"
    assert available_memory(limit, machine) == 8_192_000
    limit.write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 100000\n")
    assert available_memory(limit, machine) == 400_000
    limit.write_text("max\n")
    assert available_memory(limit, machine) == 8_192_000

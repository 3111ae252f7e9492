from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli.state_folder import _boot, locked, make_private
from headrace.core.errors import SettingsError, StateFolderBusy

CHECKOUT = Path(__file__).parents[3]
HOLDER = """
import sys
from pathlib import Path
from headrace.cli.state_folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_hears_who_holds_the_folder(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(StateFolderBusy, match=rf"pid {os.getpid()}\).*{tmp_path}"),
        locked(tmp_path),
    ):
        pass


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    with locked(tmp_path) as lock:
        assert not lock.was_killed
        assert lock.was_on_purpose


def test_a_holder_that_is_killed_holds_nothing_and_is_known_to_be_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(StateFolderBusy, match=f"pid {holder.pid}"), locked(tmp_path):
            pass
        holder.kill()
    with locked(tmp_path) as lock:
        assert lock.was_killed
        assert not lock.was_on_purpose


@pytest.mark.parametrize("left", [f"1\n{_boot()}\nstops\n", "1\nanother-boot\n"])
def test_a_holder_that_was_stopping_or_went_down_with_the_machine_ended_on_purpose(
    tmp_path: Path, left: str
) -> None:
    (tmp_path / "headrace.lock").write_text(left)
    with locked(tmp_path) as lock:
        assert lock.was_killed
        assert lock.was_on_purpose


def test_a_holder_notes_that_it_stops(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        lock.note_stop()
        assert (tmp_path / "headrace.lock").read_text().split()[-1] == "stops"
    assert (tmp_path / "headrace.lock").read_text() == ""


def test_a_missing_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "state"):
        assert (tmp_path / "a" / "state").stat().st_mode & 0o777 == 0o700


def test_an_existing_state_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with locked(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_data_folder_is_closed_to_others_even_if_it_was_open(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir(mode=0o755)
    assert make_private(tmp_path / "redis").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("take", [make_private, lambda folder: locked(folder).__enter__()])
def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path, take: object) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"HEADRACE_STATE_DIR: .*file/state"):
        take(tmp_path / "file" / "state")  # type: ignore[operator]

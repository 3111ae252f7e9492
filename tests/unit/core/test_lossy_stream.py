"""Writers never wait and never fail, whatever is at the other end of the descriptor."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO, cast

import click
import pytest
from rich.console import Console

from headrace.core import lossy_stream
from headrace.core.lossy_stream import MOST_WAITING, LossyStream
from tests.waiting import eventually

LINE = "x" * 99 + "\n"


@pytest.fixture
def full() -> Iterator[int]:
    """A descriptor on a disk without room."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        os.close(end)


def read_until(reader: int, is_whole: Callable[[str], bool]) -> str:
    text = ""
    os.set_blocking(reader, False)

    def has_come() -> bool:
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            text += os.read(reader, 1 << 20).decode()
        return is_whole(text)

    eventually(has_come)
    return text


def test_a_text_is_written_whole(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LossyStream(writer)
    print("hello", "\ud800", file=stream)
    assert stream.drain(10)
    assert os.read(reader, 100) == b"hello \\ud800\n"
    assert stream.lost == 0


def test_it_is_a_text_stream_to_those_who_ask(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LossyStream(writer)
    with pytest.raises(TypeError):
        stream.write(b"x")  # type: ignore[arg-type]
    click.echo("echoed", file=cast(TextIO, stream))
    Console(file=cast(TextIO, stream)).print("shown")
    assert stream.drain(10)
    assert os.read(reader, 100) == b"echoed\nshown\n"


def test_lines_that_a_full_disk_refuses_are_counted(full: int) -> None:
    stream = LossyStream(full)
    stream.write("one\ntwo\n")
    stream.write("three\n")
    assert stream.drain(10)
    assert stream.lost == 3


def test_a_reader_that_is_gone_costs_its_lines() -> None:
    reader, writer = os.pipe()
    stream = LossyStream(writer)
    os.close(reader)
    stream.write(LINE)
    assert stream.drain(10)
    assert stream.lost == 1
    os.close(writer)


def test_a_closed_descriptor_costs_its_lines(pipe: tuple[int, int]) -> None:
    unused = os.dup(pipe[1])
    os.close(unused)
    stream = LossyStream(unused)
    stream.write(LINE)
    assert stream.drain(10)
    assert stream.lost == 1


def test_what_was_lost_is_said_once_writing_works_again(full: int, tmp_path: Path) -> None:
    stream = LossyStream(full)
    for _line in range(2):
        stream.write(LINE)
    assert stream.drain(10)
    with (tmp_path / "log").open("wb") as log:
        os.dup2(log.fileno(), full)
    for text in ("third\n", "fourth\n"):
        stream.write(text)
        assert stream.drain(10)
    assert (tmp_path / "log").read_text() == "third\n2 lines lost\nfourth\n"
    assert stream.lost == 2


def test_a_line_behind_a_torn_one_begins_anew(full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, room = b"", 3

    def write(_descriptor: int, data: bytes) -> int:
        nonlocal disk, room
        if not room:
            raise OSError(28, "no space left")
        part = data[:room]
        disk, room = disk + part, room - len(part)
        return len(part)

    monkeypatch.setattr(lossy_stream.os, "write", write)
    stream = LossyStream(full)
    stream.write("first\n")
    assert stream.drain(10)
    room = 1000
    stream.write("second\n")
    assert stream.drain(10)
    assert disk == b"fir\nsecond\n1 lines lost\n"


def test_a_reader_that_stopped_holds_up_nobody(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LossyStream(writer)
    written = 2 * MOST_WAITING
    for _line in range(written):
        stream.write(LINE)
    assert not stream.drain(0.01)
    assert stream.lost > 0

    text = read_until(reader, lambda text: text.endswith(" lines lost\n"))
    assert text.endswith(f"\n{stream.lost} lines lost\n")
    assert text.count(LINE) + stream.lost == written


def test_a_descriptor_that_does_not_block_loses_nothing(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    stream = LossyStream(writer)
    for _line in range(2000):
        stream.write(LINE)
    assert read_until(reader, lambda text: len(text) == 2000 * len(LINE)) == 2000 * LINE
    assert stream.lost == 0


def run(script: str, **files: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    given = {"capture_output": True} | files
    return subprocess.run(command, text=True, timeout=20, check=False, **given)  # type: ignore[call-overload,no-any-return]


FORKED = """
import os, sys
from headrace.core.standard_streams import lose_errors
lose_errors()
print("parent", file=sys.stderr)
if os.fork() == 0:
    print("child", file=sys.stderr)
    sys.exit()
os.wait()
"""


def test_a_fork_writes_as_its_parent_does() -> None:
    assert sorted(run(FORKED).stderr.split()) == ["child", "parent"]


GEVENT = """
from gevent import monkey
monkey.patch_all()
import os, sys, time
from headrace.core.lossy_stream import LossyStream
reader, writer = os.pipe()
stream = LossyStream(writer, monkey.get_original("_thread", "start_new_thread"))
for _line in range(2000):
    stream.write("x" * 99 + chr(10))
time.sleep(0.01)  # another greenlet's turn
print("goes on", stream.drain(0.05))
"""


def test_under_gevent_a_stopped_reader_holds_up_no_greenlet() -> None:
    assert run(GEVENT).stdout == "goes on False\n"

"""Processes whose standard streams are closed, full or unread."""

from __future__ import annotations

import os
import subprocess
import sys

from headrace.core.standard_streams import EXIT_S

BEGIN = """
import sys
from headrace.core.standard_streams import lose_errors, lose_output, open_standard_streams
open_standard_streams()
lose_errors()
lose_output()
"""
FAIL = "raise ValueError('told by a trace')"
IN_THREAD = """
import threading
def fail():
    raise ValueError
threading.Thread(target=fail).start()
"""


def python(script: str, shell: str = "", **files: int) -> subprocess.CompletedProcess[str]:
    """Runs BEGIN and the script; `shell` redirects its streams."""
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-c", BEGIN + script]
    return subprocess.run(command, check=False, text=True, timeout=20, **files)


def test_a_full_disk_does_not_change_how_a_process_ends() -> None:
    assert python("print('x'); print('y', file=sys.stderr)", ">/dev/full 2>&1").returncode == 0
    assert python(FAIL, ">/dev/full 2>&1").returncode == 1
    assert python(IN_THREAD, ">/dev/full 2>&1").returncode == 0


def test_a_lost_reader_does_not_change_how_a_process_ends() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    script = "print('x', flush=True); print('y', file=sys.stderr, flush=True)"
    assert python(script, stdout=writer, stderr=writer).returncode == 0
    os.close(writer)


def test_a_process_ends_though_nobody_reads_its_trace() -> None:
    reader, writer = os.pipe()
    lines = f"for _ in range(10000): print('x' * {99}, file=sys.stderr)\n"
    assert EXIT_S < 5
    assert python(lines + FAIL, stderr=writer).returncode == 1
    os.close(reader)
    os.close(writer)


def test_no_file_takes_the_place_of_a_closed_stream() -> None:
    script = "import os; os._exit(open('/dev/null').fileno())"
    for closed in ("2>&-", ">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"):
        assert python(script, closed).returncode > 2, closed


def test_a_closed_stream_can_be_printed_to_and_is_handed_on() -> None:
    script = (
        "import subprocess; print('x'); print('y', file=sys.stderr)\n"
        "child = 'import os; [os.fstat(each) for each in range(3)]'\n"
        "sys.exit(subprocess.run([sys.executable, '-c', child]).returncode)"
    )
    assert python(script, ">&- 2>&-").returncode == 0

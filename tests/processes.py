"""Whether a process lives that is not a child of the test."""

from __future__ import annotations

import os
from pathlib import Path


def is_alive(pid: int) -> bool:
    """False as well for one that has ended and that nobody has waited for."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    return state != "Z"

"""How many files and connections this process may have open at once."""

from __future__ import annotations

import resource

from headrace.core.errors import SettingsError

OWN_FILES = 128
"""What a process opens itself: up to 64 connections to Redis, its libraries, pipes and logs."""

LEAST_CONNECTIONS = 128
"""Callers at once that an API process must have room for."""

MOST_FILES = 65_536


def allow_files() -> int:
    """Raises the soft limit as far as the hard one allows, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return MOST_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def require_files(least: int) -> None:
    """Raises the limit, and `SettingsError` where that is not enough."""
    allowed = allow_files()
    if allowed < least:
        raise SettingsError(
            f"only {allowed} files may be open at once and {least} are needed, better 4096: raise"
            " the limit (`ulimit -n 4096`, LimitNOFILE= of systemd, `ulimits` of Compose)"
        )

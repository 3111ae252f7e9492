"""The signal by which a supervisor asks a worker to drain."""

from __future__ import annotations

import signal

DRAIN = signal.SIGUSR1
"""Repeating it changes nothing, unlike SIGTERM, whose second one ends a worker's patience.

A service manager sends SIGTERM to all processes at once: the supervisor's own request behind it
must not count as a second one.
"""

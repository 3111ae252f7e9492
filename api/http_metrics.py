"""What the API's processes count of HTTP. The monitor exports everything else."""

from __future__ import annotations

import os
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from headrace.core.settings import Settings

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where the processes of one API keep their counts, each in files of its own."""

TOKENIZE_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class HttpMetrics(Protocol):
    def answered(self, route: str, code: int) -> None: ...

    def rejected(self, reason: str) -> None: ...

    def log_lines_lost(self, lines: int) -> None:
        """`lines` are all that this process has lost so far."""

    def tokenized(self, seconds: float) -> None: ...

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Body and content type, as the scraper's `Accept` wants them."""


class PrometheusMetrics:
    """Counts of all processes of this API; of this one alone outside gunicorn."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "headrace_requests",
            "HTTP requests answered.",
            ["route", "code"],
            registry=self._registry,
        )
        self._of_answer: dict[tuple[str, int], Counter] = {}
        self._rejected = Counter(
            "headrace_rejected",
            "Requests refused before the queue.",
            ["reason"],
            registry=self._registry,
        )
        self._log_lines_lost = Counter(
            "headrace_log_lines_lost",
            "Log lines that could not be written.",
            ["service"],
            registry=self._registry,
        ).labels("api")
        self._lines_counted = 0
        self._tokenize = Histogram(
            "headrace_tokenize_seconds",
            "Seconds to template and tokenise a prompt.",
            buckets=TOKENIZE_S,
            registry=self._registry,
        )

    def answered(self, route: str, code: int) -> None:
        count = self._of_answer.get((route, code))
        if count is None:
            count = self._of_answer[route, code] = self._requests.labels(route, str(code))
        count.inc()

    def rejected(self, reason: str) -> None:
        self._rejected.labels(reason).inc()

    def log_lines_lost(self, lines: int) -> None:
        if lines > self._lines_counted:
            self._log_lines_lost.inc(lines - self._lines_counted)
            self._lines_counted = lines

    def tokenized(self, seconds: float) -> None:
        self._tokenize.observe(seconds)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(self._all_processes()), content_type

    def _all_processes(self) -> CollectorRegistry:
        """This process alone where it is the only one, or where their folder has vanished."""
        if not os.path.isdir(os.environ.get(FOLDER_VARIABLE, "")):
            return self._registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry


class NoMetrics:
    """Where metrics are off."""

    def answered(self, route: str, code: int) -> None:
        """Counts nothing."""

    def rejected(self, reason: str) -> None:
        """Counts nothing."""

    def log_lines_lost(self, lines: int) -> None:
        """Counts nothing."""

    def tokenized(self, seconds: float) -> None:
        """Counts nothing."""

    def exposition(self, accept: str) -> tuple[bytes, str]:
        return b"# HEADRACE_METRICS is off\n", "text/plain; charset=utf-8"


def make_http_metrics(settings: Settings) -> HttpMetrics:
    return PrometheusMetrics() if settings.metrics else NoMetrics()

"""gunicorn's settings: `gunicorn -c python:api.gunicorn_conf 'api.app:create_app()'`."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()  # before anything else imports a socket; so no preload_app either

import os  # noqa: E402
import sys  # noqa: E402

from gunicorn.glogging import Logger  # noqa: E402

from api.connection_limit import most_connections  # noqa: E402
from api.counts_folder import CountsFolder  # noqa: E402
from headrace.core.api_key_store import ApiKeyStore  # noqa: E402
from headrace.core.connection import API_TIMEOUT_S, connect, require_master  # noqa: E402
from headrace.core.errors import SettingsError  # noqa: E402
from headrace.core.exposure import require_lock  # noqa: E402
from headrace.core.open_files import LEAST_CONNECTIONS, OWN_FILES, require_files  # noqa: E402
from headrace.core.settings import load_settings  # noqa: E402
from headrace.core.telemetry import configure_logging  # noqa: E402
from headrace.core.unknown_variables import warn_of_unknown_variables  # noqa: E402

_settings = load_settings()

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host

bind = f"{_host}:{_settings.port}"
workers = _settings.api_processes
worker_class = "gevent"
worker_connections = most_connections()
graceful_timeout = int(_settings.drain_s)
control_socket_disable = True  # gunicorn 27 would write into the home folder

# Before anything imports prometheus_client, which decides then where it counts.
_counts = CountsFolder()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counts.path)


def on_starting(server: object) -> None:
    """Says once what each process would say: a refusal as one line, not as its traceback."""
    warn_of_unknown_variables(os.environ)
    try:
        require_files(OWN_FILES + LEAST_CONNECTIONS)
        if _settings.redis_url is None:
            return
        redis = connect(_settings.redis_url, API_TIMEOUT_S)
        require_master(redis)
        require_lock(_settings, ApiKeyStore(redis))
    except SettingsError as error:
        on_exit(server)
        sys.exit(f"api: {error}")


def on_exit(server: object) -> None:
    _counts.remove()


def pre_fork(server: object, worker: object) -> None:
    _counts.restore()


class OurLogger(Logger):  # type: ignore[misc]
    """Sends gunicorn's own warnings through our log, instead of beside it."""

    def setup(self, cfg: object) -> None:
        super().setup(cfg)
        # A greenlet that waits for the log's reader would stop all others.
        configure_logging(_settings, "api", monkey.get_original("_thread", "start_new_thread"))
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.error_log.setLevel("WARNING")

    def warning(self, msg: str, *args: object, **kwargs: object) -> None:
        """Without the bytes that gunicorn could not parse: they may be a prompt or a key."""
        if msg.startswith("Invalid request"):
            msg = msg.partition(": ")[0]
        super().warning(msg, *args, **kwargs)


logger_class = OurLogger

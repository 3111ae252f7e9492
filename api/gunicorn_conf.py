"""gunicorn's settings: `gunicorn -c python:api.gunicorn_conf 'api.app:create_app()'`."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()  # before anything else imports a socket; so no preload_app either

from headrace.core.settings import load_settings  # noqa: E402
from headrace.core.telemetry import configure_logging  # noqa: E402

_settings = load_settings()

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.api_processes
worker_class = "gevent"
worker_connections = 2000
graceful_timeout = int(_settings.drain_s)
control_socket_disable = True  # gunicorn 27 would write into the home folder


def post_fork(server: object, worker: object) -> None:
    configure_logging(_settings, "api")

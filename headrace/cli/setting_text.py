"""Settings as people read them: variable, default, value, description."""

from __future__ import annotations

from pathlib import Path

from headrace.cli.redis_ping import without_password
from headrace.core.settings import Settings


def describe(field: str) -> str:
    return Settings.model_fields[field].description or ""


def default_text(field: str) -> str:
    """As it would stand in an environment file; nothing where there is no default."""
    return _text(Settings.model_fields[field].get_default(call_default_factory=True))


def value_text(settings: Settings, field: str) -> str:
    """The value in force, without the password that a URL may carry."""
    text = _text(getattr(settings, field))
    return without_password(text) if field.endswith("_url") else text


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Path) and value.is_relative_to(Path.home()):
        return f"~/{value.relative_to(Path.home())}"
    return str(value)

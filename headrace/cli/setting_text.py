"""Settings as people read them: variable, default, value, description."""

from __future__ import annotations

from pathlib import Path

from headrace.core.settings import Settings
from headrace.core.urls import masked, masked_address

SECRET_PATHS = frozenset({"alert_webhook_url"})
"""Settings whose URL is the receiver's password as a whole."""


def describe(field: str) -> str:
    return Settings.model_fields[field].description or ""


def default_text(field: str) -> str:
    """As it would stand in an environment file; nothing where there is no default."""
    return _text(Settings.model_fields[field].get_default(call_default_factory=True))


def value_text(settings: Settings, field: str) -> str:
    """Return the value in force, without the password that a URL may hold."""
    text = _text(getattr(settings, field))
    if not text or not field.endswith("_url"):
        return text
    return masked_address(text) if field in SECRET_PATHS else masked(text)


def _text(value: object) -> str:
    if value is None:
        return ""
    return _from_home(value) if isinstance(value, Path) else str(value)


def _from_home(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (RuntimeError, ValueError):  # there is no home folder, or it is elsewhere
        return str(path)

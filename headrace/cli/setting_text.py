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
    if isinstance(value, Path) and value.is_relative_to(Path.home()):
        return f"~/{value.relative_to(Path.home())}"
    return str(value)

"""Origins of web pages."""

from __future__ import annotations

import pytest

from headrace.core.errors import SettingsError
from headrace.core.origins import parse_origins
from headrace.core.settings import load_settings


def test_origins_are_written_as_browsers_write_them() -> None:
    assert parse_origins("HTTPS://Chat.example:443, http://localhost:3000 ,http://a:80,") == {
        "https://chat.example",
        "http://localhost:3000",
        "http://a",
    }
    assert parse_origins("app://obsidian.md, chrome-extension://abc, http://[::1]:5173, *")
    assert parse_origins("") == frozenset()


@pytest.mark.parametrize(
    "origins", ["null", "chat.example", "https://chat.example/", "https://*.example", "https://a b"]
)
def test_what_is_no_origin_is_refused_by_the_settings(origins: str) -> None:
    with pytest.raises(SettingsError, match=r"HEADRACE_CORS_ORIGINS: .*is no origin"):
        load_settings(cors_origins=origins)

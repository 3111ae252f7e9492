"""Variables that are named like settings and set nothing: most are misspelled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

import structlog

from headrace.core.settings import PREFIX, Settings

KNOWN = [*(field.upper() for field in Settings.model_fields), "URL", "API_KEY"]
"""Without the prefix: the settings, and what the command line reads beside them."""

LINK = re.compile(r".*_SERVICE_(HOST|PORT(_\w+)?)|.*_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?")
"""What Kubernetes and Docker tell containers of a service whose name begins like ours."""

log = structlog.get_logger()


def warn_of_unknown_variables(environment: Mapping[str, str]) -> None:
    """Logs each once, and never a value: it may be a key."""
    for name in unknown_variables(environment):
        log.warning("unknown variable, it sets nothing", variable=name, nearest=nearest(name))


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        field = name.upper().removeprefix(PREFIX)
        is_ours = name.upper().startswith(PREFIX) and field not in KNOWN
        if is_ours and not _is_link(field, value):
            yield name


def nearest(name: str) -> str | None:
    """The known variable that looks most like it; None where none does."""
    found = get_close_matches(name.upper().removeprefix(PREFIX), KNOWN, n=1)
    return PREFIX + found[0] if found else None


def _is_link(field: str, value: str) -> bool:
    return bool(LINK.fullmatch(field)) or (field.endswith("_PORT") and "://" in value)

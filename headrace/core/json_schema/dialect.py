"""The dialects that a JSON schema may be written in, and their meta-schemas."""

from __future__ import annotations

from typing import Any

from jsonschema_rs import ValidationError, meta

DIALECTS = (
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
"""What `$schema` may name. Any other would be fetched from wherever it points to."""


def complaint_about_form(schema: Any) -> str | None:
    """Why this is no JSON schema, by its meta-schema; None where it is one.

    Nothing is compiled: patterns of a caller could take minutes.
    """
    dialect = schema.get("$schema", DIALECTS[-1]) if isinstance(schema, dict) else DIALECTS[-1]
    if not isinstance(dialect, str) or dialect.removesuffix("#") not in DIALECTS:
        return f"$schema: one of {', '.join(DIALECTS)}"
    try:
        meta.validate(schema)
    except ValidationError as error:
        place = ".".join(map(str, error.instance_path)) or "the schema"
        return f"no JSON schema: {place}: {error.message:.200}"
    return None

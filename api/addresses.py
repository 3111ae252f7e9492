"""The addresses that there are, for callers who asked for another one."""

from __future__ import annotations

import re

from flask import Flask

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
"""A parameter in a rule of Flask; OpenAPI and readers write it as `{name}`."""


def addresses(app: Flask) -> list[str]:
    """Returns method and path of every route of ours, sorted by path."""
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if "operation" in vars(app.view_functions[rule.endpoint])
    ]
    found = [
        (PARAMETER.sub(r"{\1}", rule.rule), method)
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    return [f"{method} {path}" for path, method in sorted(found)]

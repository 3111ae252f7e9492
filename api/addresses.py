"""The addresses that there are, for callers who asked for another one."""

from __future__ import annotations

from flask import Flask


def addresses(app: Flask) -> list[str]:
    """Returns method and path of every route of ours, sorted by path."""
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if "operation" in vars(app.view_functions[rule.endpoint])
    ]
    found = [
        (rule.rule, method)
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    return [f"{method} {path}" for path, method in sorted(found)]

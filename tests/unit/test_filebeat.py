"""Lines of the log are what Elasticsearch takes, without a change on the way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml

from headrace.core.telemetry import ECS_NAMES

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "worker", "batcher", "scaler", "headrace")
LEVELS = {"debug", "info", "warning", "error", "exception", "bind"}

ECS_OBJECTS = {
    *("agent", "as", "client", "cloud", "code_signature", "container", "data_stream"),
    *("destination", "device", "dll", "dns", "ecs", "elf", "email", "error", "event"),
    *("faas", "file", "geo", "group", "hash", "host", "http", "interface", "labels"),
    *("log", "macho", "network", "observer", "orchestrator", "organization", "os"),
    *("package", "pe", "process", "registry", "related", "risk", "rule", "server"),
    *("service", "source", "span", "threat", "tls", "trace", "transaction", "url"),
    *("user", "user_agent", "vlan", "volume", "vulnerability", "x509"),
}
"""Names that stand for objects in Elastic Common Schema 8."""


def logged_fields() -> Iterator[tuple[str, str]]:
    """Each field of a line that the code logs, and where."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if _logs(node):
                    yield from ((each.arg, str(path)) for each in node.keywords if each.arg)


def _logs(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"log", "write"}
    )


def test_no_field_stands_as_text_where_the_schema_has_an_object() -> None:
    fields = list(logged_fields())
    assert len(fields) > 50
    assert not [each for each in fields if each[0] in ECS_OBJECTS - ECS_NAMES.keys()]


def test_filebeat_takes_the_lines_as_they_are() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "filebeat" / "filebeat.yml").read_text())
    files, containers = config["filebeat.inputs"]
    lines = {"target": "", "expand_keys": True, "overwrite_keys": True, "add_error_key": True}
    assert files["type"] == containers["type"] == "filestream"
    assert files["id"] != containers["id"]
    assert files["parsers"] == [{"ndjson": lines}]
    assert containers["parsers"] == [{"container": {"stream": "stderr"}}, {"ndjson": lines}]
    assert "processors" not in config

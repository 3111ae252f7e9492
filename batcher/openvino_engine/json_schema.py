"""JSON schemas that the pipeline's grammar can and cannot hold output to."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openvino_genai

from batcher.openvino_engine.probe_model import write_probe_model
from batcher.openvino_engine.row import tensor
from headrace.core.errors import InvalidRequest

SEVERAL = "allOf of several"

NOT_HELD = {
    SEVERAL,
    *("not", "if", "then", "else", "multipleOf", "uniqueItems"),
    *("contains", "minContains", "maxContains", "unevaluatedItems"),
    *("dependencies", "dependentRequired", "dependentSchemas"),
}
"""Keywords that the grammar passes over: output would break them."""

_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions")
_DATA = ("enum", "const", "default", "examples", "required")
_REMEMBERED = 256

_PLAIN = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
"""In bf16 the plugin divides by zero where a model is this small."""


class SchemaCheck:
    """Tries schemas on a pipeline of its own, with a model of a few kilobytes.

    One that the grammar cannot be made from fails in the middle of a step, and would take the
    other requests of that step with it.
    """

    def __init__(self) -> None:
        self._probe: openvino_genai.ContinuousBatchingPipeline | None = None
        self._known: deque[str] = deque(maxlen=_REMEMBERED)

    def check(self, schema: str) -> None:
        """Raises `InvalidRequest`, naming the field `json_schema`."""
        if schema in self._known:
            return
        try:
            parsed = json.loads(schema)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"json_schema: not JSON: {error}", "json_schema") from None
        unheld = sorted(set(_keywords(parsed)) & NOT_HELD)
        if unheld:
            raise InvalidRequest(
                f"json_schema: this engine cannot hold output to {', '.join(unheld)}",
                "json_schema",
            )
        self._try(schema)
        self._known.append(schema)

    def close(self) -> None:
        self._probe = None

    def _try(self, schema: str) -> None:
        probe = self._probe = self._probe or _load_probe()
        config = openvino_genai.GenerationConfig(max_new_tokens=1)
        config.structured_output_config = openvino_genai.StructuredOutputConfig(json_schema=schema)
        handle = probe.add_request(0, tensor([1]), config)
        try:
            probe.step()
        except RuntimeError as error:
            raise InvalidRequest(f"json_schema: {_reason(error)}", "json_schema") from error
        finally:
            handle.cancel()
            probe.step()


def _load_probe() -> openvino_genai.ContinuousBatchingPipeline:
    scheduling = openvino_genai.SchedulerConfig()
    scheduling.num_kv_blocks = 16
    with TemporaryDirectory(prefix="headrace-") as folder:
        file = write_probe_model(Path(folder) / "probe.gguf")
        return openvino_genai.ContinuousBatchingPipeline(file, scheduling, "CPU", _PLAIN)


def _keywords(schema: Any) -> Iterator[str]:
    """The keywords of a schema and of those within it; names of properties are none."""
    if isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        yield SEVERAL if keyword == "allOf" and isinstance(value, list) and value[1:] else keyword
        if keyword in _OF_SCHEMAS and isinstance(value, Mapping):
            yield from _keywords(list(value.values()))
        elif keyword not in _DATA:
            yield from _keywords(value)


def _reason(error: RuntimeError) -> str:
    """What the grammar's compiler says, without the place in its source."""
    lines = str(error).strip().splitlines()
    return re.sub(r"^.*\.(cc|cpp|h|hpp):\d+: ", "", lines[0] if lines else "unusable")

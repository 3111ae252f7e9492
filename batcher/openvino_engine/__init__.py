"""The engine that runs on OpenVINO's continuous batching, for CPUs."""

import sys

# Without this, `import openvino` reports to Google Analytics; it does without the package.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

"""The logits of a prepared model, computed by a process of their own.

    python -m batcher.openvino_engine.trial_logits OUTPUT

It reads folder, properties and ids (JSON). Some models end a process in OpenVINO's native code:
whoever prepares one has to live on, and try another engine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import ModelError


def trial_logits(
    folder: Path, properties: dict[str, Any], ids: Sequence[int], scratch: Path | None = None
) -> NDArray[np.float32]:
    """[ids, vocabulary], as `paged_logits` computes them; they pass through a file in `scratch`.

    Raises `ModelError` for a model that this cannot be done with.
    """
    question = json.dumps([str(folder), properties, list(ids)])
    with TemporaryDirectory(prefix=".headrace-", dir=scratch) as place:
        output = Path(place) / "logits.npy"
        command = [sys.executable, "-P", "-m", __name__, str(output)]
        ended = subprocess.run(command, input=question, capture_output=True, text=True, check=False)
        if ended.returncode < 0:
            raise ModelError(f"the model ends OpenVINO with signal {-ended.returncode}")
        if ended.returncode:
            raise ModelError(" ".join(ended.stderr.split()) or "OpenVINO cannot run the model")
        logits: NDArray[np.float32] = np.load(output)
        return logits


def main() -> None:
    from batcher.openvino_engine.paged_logits import paged_logits

    folder, properties, ids = json.load(sys.stdin)
    try:
        np.save(sys.argv[1], paged_logits(Path(folder), properties, ids))
    except ModelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

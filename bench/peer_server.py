"""The servers of others, as their documentation starts them, on the model that ours serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx

from bench.child import Child
from bench.engine_model import ModelFiles
from bench.environments import Environments
from bench.up import free_port
from bench.vllm_variables import vllm_server_variables
from headrace.core.settings import Settings

VLLM_MODULE = "vllm.entrypoints.cli.main"
CONTEXT_TOKENS = 1024
"""The longest sequence of a slot: several times what a request here fills."""


class PeerServer(Child):
    """A server with OpenAI's routes. It is ready once `/health` says so."""

    ready_s = 600.0

    def __init__(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        super().__init__([*command, *address], variables)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).is_success
        except httpx.TransportError:
            return False


def vllm_server(
    dtype: str, model: ModelFiles, environments: Environments, settings: Settings
) -> PeerServer:
    """`vllm serve` in one number format, with as many slots as ours. Raises `RuntimeError`."""
    python = environments.python("vllm")
    command = [str(python), "-m", VLLM_MODULE, "serve", str(model.folder), "--dtype", dtype]
    command += ["--max-num-seqs", str(settings.max_slots)]
    command += ["--max-model-len", str(CONTEXT_TOKENS)]
    command += ["--served-model-name", model.name]
    variables = vllm_server_variables(environments.home("vllm"), settings.threads)
    return PeerServer(command, variables)


def llama_server(model: ModelFiles, environments: Environments, settings: Settings) -> PeerServer:
    """`llama-server` on the published file, with as many slots as ours. Raises `RuntimeError`."""
    if model.gguf is None:
        raise RuntimeError(f"llama.cpp needs a GGUF file, and {model.name} has none")
    program = environments.binary("llama-server", "llama-server")
    threads, slots = str(settings.threads), settings.max_slots
    command = [str(program), "--model", str(model.gguf), "--alias", model.name]
    command += ["--threads", threads, "--threads-batch", threads]
    command += ["--parallel", str(slots), "--ctx-size", str(slots * CONTEXT_TOKENS)]
    return PeerServer(command, {})

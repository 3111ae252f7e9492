"""The servers of others are started as their documentation says, with the slots of ours."""

from __future__ import annotations

from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bench.engine_model import ModelFiles
from bench.environments import Environments
from bench.peer_server import PeerServer, llama_server, vllm_server
from headrace.core.settings import Settings

MODEL = ModelFiles("tiny", Path("/weights"), None, Path("/tiny.gguf"), 512)
SETTINGS = Settings(max_slots=4, threads=1)


class MadeBefore(Environments):
    """Environments that need not be made."""

    def python(self, name: str) -> Path:
        return self.home(name) / "bin" / "python"

    def binary(self, name: str, program: str) -> Path:
        return self.home(name) / "bin" / program


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return MadeBefore(tmp_path, print)


def command(server: PeerServer) -> str:
    return " ".join(server._command)


def test_vllm_serves_the_folder_in_one_number_format(environments: Environments) -> None:
    server = vllm_server("bfloat16", MODEL, environments, SETTINGS)

    assert "serve /weights --dtype bfloat16 --max-num-seqs 4" in command(server)
    assert command(server).endswith(f"--host 127.0.0.1 --port {server.port}")


def test_the_server_of_vllm_binds_its_own_threads(environments: Environments) -> None:
    variables = vllm_server("float32", MODEL, environments, SETTINGS)._environment

    assert "VLLM_CPU_OMP_THREADS_BIND" in variables
    assert "KMP_AFFINITY" not in variables
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in variables


def test_llama_cpp_serves_the_published_file(environments: Environments) -> None:
    server = llama_server(MODEL, environments, SETTINGS)

    assert "bin/llama-server --model /tiny.gguf --alias tiny" in command(server)
    assert "--parallel 4 --ctx-size 4096" in command(server)


def test_llama_cpp_needs_a_file(environments: Environments) -> None:
    with pytest.raises(RuntimeError, match="has none"):
        llama_server(replace(MODEL, gguf=None), environments, SETTINGS)


@pytest.mark.parametrize(("status", "is_ready"), [(200, True), (503, False)])
def test_a_server_is_ready_once_it_says_so(status: int, is_ready: bool) -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None: ...

    server = PeerServer(["true"], {})
    assert not server.answers()
    with HTTPServer(("127.0.0.1", server.port), Health) as health:
        thread = Thread(target=health.serve_forever)
        thread.start()
        assert server.answers() is is_ready
        health.shutdown()
        thread.join()

"""The tools, as their users run them, against a server of OpenAI's chat route."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.environments import Environments
from bench.peer_server import VLLM_MODULE
from tests.instruments.figures import Figures, Load

CHAT = "/v1/chat/completions"
MS = 1e-3


@dataclass(frozen=True)
class Site:
    """A server, its model, what its chat template adds, and a folder with its tokenizer."""

    url: str
    model: str
    template_tokens: int
    tokenizer: Path
    environments: Environments


Tool = Callable[[Site, Load, Path], Figures]
"""Runs once and leaves its files in a folder of its own. Raises `RuntimeError`."""


def loadtest(site: Site, load: Load, folder: Path) -> Figures:
    report = folder / "loadtest.json"
    options = {
        "--url": site.url,
        "--concurrency": load.users,
        "--requests": load.requests,
        "--warmup": 0,
        "--prompt-tokens": load.prompt_tokens + site.template_tokens,
        "--max-tokens": load.output_tokens,
        "--json": report,
    }
    _run([sys.executable, "-m", "headrace", "loadtest", *_words(options)], folder)
    [level] = json.loads(report.read_text())["levels"]
    _require(level["succeeded"] == load.requests, level["errors"])
    times = (level[name]["p50"]["value"] for name in ("ttft_s", "tpot_s", "e2e_s"))
    return Figures(level["throughput_per_s"], *times)


def guidellm(site: Site, load: Load, folder: Path) -> Figures:
    report = folder / "guidellm.json"
    lengths = f"prompt_tokens={load.prompt_tokens},output_tokens={load.output_tokens}"
    options = {
        "--backend": f"kind=openai_http,target={site.url},request_format={CHAT}",
        "--profile": f"kind=concurrent,streams={load.users}",
        "--constraint": f"kind=max_requests,count={load.requests}",
        "--tokenizer": f"kind=huggingface_auto,model={site.tokenizer}",
        "--data": f"kind=synthetic_text,{lengths}",
        "--output": f"kind=json,path={report}",
    }
    program = site.environments.python("guidellm").with_name("guidellm")
    _run([program, "run", "--disable-progress", *_words(options)], folder)
    [found] = json.loads(report.read_text())["benchmarks"]
    metrics = found["metrics"]
    counted = metrics["request_totals"]
    # It may end while its last requests are under way, and leaves those out of all its figures.
    is_whole = counted["successful"] >= load.requests - load.users and not counted["errored"]
    _require(is_whole, counted)
    return Figures(
        metrics["requests_per_second"]["successful"]["mean"],
        MS * metrics["time_to_first_token_ms"]["successful"]["median"],
        MS * metrics["inter_token_latency_ms"]["successful"]["median"],
        metrics["request_latency"]["successful"]["median"],
    )


def aiperf(site: Site, load: Load, folder: Path) -> Figures:
    options = {
        "--model": site.model,
        "--tokenizer": site.tokenizer,
        "--url": site.url,
        "--endpoint-type": "chat",
        "--concurrency": load.users,
        "--request-count": load.requests,
        "--synthetic-input-tokens-mean": load.prompt_tokens,
        "--synthetic-input-tokens-stddev": 0,
        "--output-tokens-mean": load.output_tokens,
        "--output-tokens-stddev": 0,
        "--extra-inputs": json.dumps({"ignore_eos": True, "min_tokens": load.output_tokens}),
        "--ui": "none",
        "--artifact-dir": folder,
    }
    switches = ["--streaming", "--use-server-token-count", "--no-gpu-telemetry"]
    program = site.environments.python("aiperf").with_name("aiperf")
    _run([program, "profile", *switches, *_words(options)], folder)
    found = json.loads((folder / "profile_export_aiperf.json").read_text())
    _require(found["request_count"]["avg"] == load.requests, found["error_summary"])
    return Figures(
        found["request_throughput"]["avg"],
        MS * found["time_to_first_token"]["p50"],
        MS * found["inter_token_latency"]["p50"],
        MS * found["request_latency"]["p50"],
    )


def vllm_bench_serve(site: Site, load: Load, folder: Path) -> Figures:
    options = {
        "--backend": "openai-chat",
        "--endpoint": CHAT,
        "--base-url": site.url,
        "--tokenizer": site.tokenizer,
        "--dataset-name": "random",
        "--random-input-len": load.prompt_tokens,
        "--random-output-len": load.output_tokens,
        "--num-prompts": load.requests,
        "--max-concurrency": load.users,
        "--percentile-metrics": "ttft,tpot,itl,e2el",
        "--result-dir": folder,
        "--result-filename": "vllm.json",
    }
    python = site.environments.python("vllm")
    command = [python, "-m", VLLM_MODULE, "bench", "serve", "--ignore-eos", "--save-result"]
    _run([*command, *_words(options)], folder)
    found = json.loads((folder / "vllm.json").read_text())
    _require(found["completed"] == load.requests, found)
    times = (MS * found[f"median_{name}_ms"] for name in ("ttft", "tpot", "e2el"))
    return Figures(found["request_throughput"], *times)


TOOLS: dict[str, Tool] = {
    "guidellm": guidellm,
    "aiperf": aiperf,
    "vllm bench serve": vllm_bench_serve,
}


def _words(options: dict[str, Any]) -> list[str]:
    return [str(word) for option in options.items() for word in option]


def _run(command: Sequence[str | Path], folder: Path) -> None:
    variables = {"HF_HUB_DISABLE_TELEMETRY": "1", "VLLM_NO_USAGE_STATS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=os.environ | variables
    )
    said = [*done.stdout.splitlines(), *done.stderr.splitlines()][-30:]
    _require(done.returncode == 0, "\n".join([" ".join(map(str, command)), *said]))


def _require(holds: bool, message: object) -> None:
    if not holds:
        raise RuntimeError(str(message))

"""Every setting, read once from the environment (`HEADRACE_…`; `REDIS_URL` is honoured bare)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace.core.errors import SettingsError
from headrace.core.origins import parse_origins
from headrace.core.urls import fault_of

PREFIX = "HEADRACE_"
HIGHEST_PORT = 65535

_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_DEVICE = re.compile(r"auto|cpu|cuda(:(0|[1-9][0-9]{0,2}))?")


class Settings(BaseSettings):
    """Units stand in the names. Each field is the variable `HEADRACE_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    # Where things are
    redis_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("REDIS_URL", "HEADRACE_REDIS_URL"),
        description="Redis to use; without it `headrace up` starts an embedded one.",
    )
    state_dir: Path = Field(
        default=Path("~/.local/state/headrace"),
        validate_default=True,
        description="Folder of the embedded Redis and of prepared models.",
    )
    host: str = Field("127.0.0.1", description="Address the API binds to.")
    port: int = Field(8000, ge=1, le=HIGHEST_PORT, description="Port the API binds to.")
    monitor_port: int | None = Field(
        None,
        ge=1,
        le=HIGHEST_PORT,
        description="Port of the fleet's metrics; default: the API's + 1.",
    )

    # What runs
    model: str = Field(
        "smollm2",
        description="`smollm2` (bundled), a folder, a .gguf file or a Hugging Face id.",
    )
    engine: Literal["auto", "torch", "openvino", "simulated"] = Field(
        "auto", description="`auto` takes the best engine installed for this machine and model."
    )
    device: str = Field(
        "auto",
        description="`cpu`, `cuda`, or `cuda:N` for one GPU of several; `auto`: a GPU if there is"
        " one. Workers of `headrace up` take the GPUs in turn.",
    )
    dtype: Literal["auto", "bfloat16", "float32", "int8"] = Field(
        "auto",
        description="Number format; `auto`: the fastest here that answers as the model does."
        " `int8`: products of 8 bits, on CPUs.",
    )
    accept_infidelity: bool = Field(
        False, description="Run an engine even where it answers otherwise than its model."
    )
    threads: int = Field(
        0, ge=0, description="Threads of a worker's model; 0: its share of the cores."
    )
    workers: int = Field(
        1,
        ge=0,
        le=64,
        description="Workers that `headrace up` starts; a scaler takes it from there.",
    )
    api_processes: PositiveInt = Field(1, description="API processes (gunicorn workers).")

    # How many workers
    scaler_max: int | None = Field(
        None,
        ge=0,
        le=64,
        description="Most workers that the scaler wants; without it HEADRACE_WORKERS is most and"
        " fewest, and beside a Redis of yours `headrace up` runs no scaler.",
    )
    scaler_min: int = Field(1, ge=0, le=64, description="Fewest workers that the scaler wants.")
    scaler_policy: Literal["backlog-slo", "queue-depth", "latency"] = Field(
        "backlog-slo", description="What the scaler goes by."
    )
    scaler_fleet: Literal["processes", "compose", "kubernetes"] = Field(
        "processes",
        description="Whose workers `headrace scaler` keeps; `headrace up` keeps its own.",
    )
    scaler_compose_project: str = Field(
        "headrace",
        min_length=1,
        description="Project of the containers: for Compose the name of the folder, or `-p`.",
    )
    scaler_tick_s: float = Field(2.0, ge=0.1, description="How often the scaler decides.")
    scaler_window_s: PositiveFloat = Field(
        60.0,
        description="So long fewer workers must have sufficed before the scaler takes any away.",
    )
    scaler_start: Path | None = Field(
        None,
        description="File that `headrace capacity --start-values` wrote: how fast a worker is, for"
        " a scaler that has not seen any step yet.",
    )
    scaler_statefulset: str = Field(
        "headrace-worker", min_length=1, description="StatefulSet of the workers, for Kubernetes."
    )
    scaler_namespace: str = Field(
        "headrace", min_length=1, description="Namespace of that StatefulSet."
    )

    # How requests are batched
    max_slots: int = Field(32, ge=1, le=1024, description="Requests an engine runs together.")
    max_context_tokens: PositiveInt = Field(
        2048, description="Longest prompt plus output; bounded by the model's own context."
    )
    kv_cache_gb: float | None = Field(
        None, gt=0, description="Memory of the key-value cache; default: what its slots can fill."
    )
    prefix_caching: bool = Field(True, description="Prompts that begin alike are read once.")
    prefill_tokens: PositiveInt = Field(
        512,
        description="Prompt tokens that one step reads; beside rows that decode down to a fifth,"
        " with OpenVINO always half.",
    )
    schema_compile_ms: PositiveInt = Field(
        2000,
        description="CPU time that the grammar of a JSON schema may take to compile; it is taken"
        " beside the steps.",
    )
    admission: Literal["continuous", "micro"] = Field(
        "continuous",
        description="`continuous` fills free slots before every step; `micro` runs closed batches.",
    )
    batch_wait_ms: int = Field(20, ge=0, description="How long `micro` waits for batch mates.")
    default_max_tokens: PositiveInt | None = Field(
        None,
        description="Most output tokens of a request that names no limit; default: the rest of the"
        " context.",
    )

    # What the queue promises
    queue_max_jobs: PositiveInt = Field(100_000, description="Waiting jobs before 429.")
    queue_max_tokens: PositiveInt = Field(
        50_000_000, description="Prompt and output tokens of waiting jobs before 429."
    )
    queue_ttl_s: PositiveInt = Field(
        86_400, description="Longest wait for a first worker; then a job ends as expired."
    )
    guaranteed_share: float = Field(
        0.125,
        ge=0,
        le=0.25,
        description="Share of a worker's slots that default and batch work each keep, however much"
        " interactive work waits.",
    )
    lease_s: float = Field(10.0, ge=0.1, description="A silent worker loses its jobs after this.")
    engine_stall_s: PositiveFloat = Field(
        30.0, description="An engine whose step takes longer is killed and loaded anew."
    )
    engine_process: bool = Field(
        True, description="The engine is a child process of its worker; false: a part of it."
    )
    job_timeout_s: PositiveInt = Field(600, description="Longest run of one job.")
    drain_s: PositiveFloat = Field(30.0, description="Time to finish running jobs at shutdown.")
    max_deaths: PositiveInt = Field(5, description="Worker deaths before a job is a dead letter.")
    max_retries: int = Field(3, ge=0, le=100, description="Retries of errors that may pass.")
    retry_first_s: PositiveInt = Field(1, description="Wait before a first retry; it doubles.")
    retry_most_s: PositiveInt = Field(60, description="Longest wait before a retry.")
    result_ttl_s: PositiveInt = Field(86_400, description="How long an ended job is kept.")
    result_ttl_max_s: PositiveInt = Field(
        604_800, description="Longest `ttl_s`, for which a caller may ask instead."
    )
    publish_interval_ms: int = Field(50, ge=0, description="How often new tokens are published.")
    completion_log_max: PositiveInt = Field(100_000, description="Records kept of ended jobs.")

    # What the API allows
    sampling_defaults: Literal["model", "none"] = Field(
        "model",
        description="Rules of requests that name none: `model`: its own; `none`: OpenAI's.",
    )
    control_tokens_in_messages: Literal["text", "tokens"] = Field(
        "text",
        description="What control tokens such as `<|im_end|>` in messages are: `text`, or `tokens`,"
        " with which whoever writes a message can forge turns.",
    )
    max_wait_s: PositiveFloat = Field(590.0, description="Longest wait of one HTTP request.")
    on_disconnect: Literal["cancel", "continue"] = Field(
        "cancel",
        description="What becomes of a job of OpenAI's routes whose caller hangs up; an"
        " `on_disconnect` or an `Idempotency-Key` of the request wins.",
    )
    max_body_bytes: PositiveInt = Field(2_000_000, description="Largest request body.")

    allow_anonymous: bool = Field(
        False, description="Serve callers beyond this machine while no API key exists."
    )
    allowed_hosts: str = Field(
        "",
        description="Host names, with commas between, that lead to API and monitor while no API key"
        " exists, beside IP addresses and localhost; `*`: any.",
    )
    cors_origins: str = Field(
        "",
        description="Origins, with commas between, whose pages may use the API from a browser, as"
        " https://chat.example; `*`: any, once there is an API key.",
    )

    # What counts as good
    slo_latency_s: PositiveFloat = Field(
        1.0, description="Longest wait for a first token, and for an answer beside its tokens."
    )
    slo_tpot_s: float = Field(
        0.15, ge=0, description="What each output token may add to the time of an answer."
    )
    slo_objective: float = Field(
        0.99, gt=0, lt=1, description="Share of answers that should be good, over 30 days."
    )
    metrics: bool = Field(True, description="Count requests, jobs and steps for Prometheus.")

    # What the monitor watches, and whom it tells
    probe_s: float = Field(2.0, ge=0.1, description="How often the monitor probes each part.")
    canary_s: float = Field(
        5.0, ge=0, description="How often it has a few tokens of its own made; 0: never."
    )
    api_url: str | None = Field(
        None, pattern="^http://", description="Where it finds the API; default: on this machine."
    )
    alert_webhook_url: str | None = Field(
        None, pattern="^https?://", description="Alerts are posted there as JSON."
    )
    alertmanager_url: str | None = Field(
        None, pattern="^https?://", description="Alerts are posted to this Alertmanager."
    )

    otlp_url: str | None = Field(
        None, pattern="^https?://", description="Traces go there by OTLP over HTTP (extra `otel`)."
    )

    # Simulated engine: step seconds = alpha + beta * rows + gamma * prefill tokens
    simulated_alpha_s: float = Field(0.01, ge=0, description="Simulated engine: s a step.")
    simulated_beta_s: float = Field(0.001, ge=0, description="Simulated engine: s a row.")
    simulated_gamma_s: float = Field(0.0001, ge=0, description="Simulated engine: s a token.")

    # Logs
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="`auto`: console on a terminal, else JSON lines (ECS)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )

    # For tests only
    failpoints: str = Field(
        "",
        description="For tests only: where a process kills itself, as `mid-step=kill@3`.",
    )

    @field_validator("device")
    @classmethod
    def _names_a_device(cls, device: str) -> str:
        if not _DEVICE.fullmatch(device):
            raise ValueError("auto, cpu, cuda or cuda:N, where N is the number of a GPU from 0 on")
        return device

    @field_validator("api_url", "alert_webhook_url", "alertmanager_url", "otlp_url")
    @classmethod
    def _names_a_server(cls, url: str | None) -> str | None:
        if url is not None and (fault := fault_of(url)) is not None:
            raise ValueError(fault)
        return url

    @field_validator("allowed_hosts")
    @classmethod
    def _names_hosts(cls, hosts: str) -> str:
        for host in filter(None, map(str.strip, hosts.split(","))):
            if host != "*" and not _HOST_NAME.fullmatch(host):
                raise ValueError(f"{host!r} is no host name (without scheme, port and path)")
        return hosts

    @field_validator("cors_origins")
    @classmethod
    def _names_origins(cls, origins: str) -> str:
        parse_origins(origins)
        return origins

    @field_validator("state_dir", "scaler_start")
    @classmethod
    def _make_absolute(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        """Children of `headrace up` may stand elsewhere. `state_folder` judges a `~` that stays."""
        try:
            return path and path.expanduser().absolute()
        except RuntimeError as error:
            if info.field_name == "state_dir":
                return path
            raise ValueError(f"{path}: this user has no home folder; write it out") from error

    @model_validator(mode="after")
    def _leaves_a_port_for_the_monitor(self) -> Settings:
        if self.port == HIGHEST_PORT and self.monitor_port is None:
            raise ValueError("HEADRACE_MONITOR_PORT: none is left above HEADRACE_PORT; name one")
        return self

    @model_validator(mode="after")
    def _lets_the_scaler_decide(self) -> Settings:
        if self.scaler_max is not None and self.scaler_min > self.scaler_max:
            raise ValueError("HEADRACE_SCALER_MIN: more than HEADRACE_SCALER_MAX")
        if self.scaler_max is not None and not self.metrics:
            raise ValueError("HEADRACE_METRICS: the scaler goes by what is counted")
        return self

    @property
    def first_workers(self) -> int:
        """How many workers a deployment starts with."""
        if self.scaler_max is None:
            return self.workers
        return max(self.scaler_min, min(self.workers, self.scaler_max))

    @property
    def metrics_port(self) -> int:
        """Where the monitor exports the fleet's metrics."""
        return self.monitor_port or self.port + 1

    @property
    def state_folder(self) -> Path:
        """`state_dir`, for who is about to use it.

        Raises `SettingsError` where it lies in a home folder and the user has none, as users of
        containers often do. There is no folder instead: what /tmp holds does not last.
        """
        if str(self.state_dir).startswith("~"):
            raise SettingsError(
                f"HEADRACE_STATE_DIR: {self.state_dir} cannot be found, since this user has no"
                " home folder; name a folder that it may write to"
            )
        return self.state_dir

    @property
    def models_dir(self) -> Path:
        return self.state_folder / "models"


def variable(field: str) -> str:
    """The environment variable of a field."""
    return "REDIS_URL" if field == "redis_url" else PREFIX + field.upper()


def load_settings(**overrides: Any) -> Settings:
    """Reads the environment; `overrides` (options of a command) win where they are not None.

    Raises `SettingsError`, naming each variable that is wrong.
    """
    try:
        return Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError(
            "; ".join(f"{_key(problem['loc'])}: {problem['msg']}" for problem in error.errors())
        ) from error


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables, for a child process."""
    values = settings.model_dump(mode="json", exclude_none=True)
    return {variable(field): str(value) for field, value in values.items()}


def _key(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "settings"
    return variable(name) if name in Settings.model_fields else name

"""Names of span attributes: OpenTelemetry's for generative AI, and our own.

The former still change (status "development"): they stand here alone, as
opentelemetry-semantic-conventions 0.66b2 has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.core.jobs.job import Report
from headrace.core.types import Request

Value = str | int | float | list[str]

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
MAX_TOKENS = "gen_ai.request.max_tokens"
TEMPERATURE = "gen_ai.request.temperature"
TOP_P = "gen_ai.request.top_p"
TOP_K = "gen_ai.request.top_k"
FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
SEED = "gen_ai.request.seed"
OUTPUT_TYPE = "gen_ai.output.type"
RESPONSE_MODEL = "gen_ai.response.model"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
ERROR_TYPE = "error.type"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
FINISH_REASONS = "gen_ai.response.finish_reasons"

JOB_ID = "headrace.job_id"
TENANT = "headrace.tenant"
PRIORITY = "headrace.priority"
ATTEMPT = "headrace.attempt"
WORKER = "headrace.worker"
BATCH_SIZE = "headrace.batch_size"
STATE = "headrace.state"
REASON = "headrace.reason"
JOBS = "headrace.jobs"
STEPS = "headrace.steps"


def operation_of(request: Request) -> str:
    """`chat` for a request made of messages, else `text_completion`."""
    return "chat" if request.is_chat else "text_completion"


def of_request(request: Request) -> Mapping[str, Value]:
    """What was asked; never the prompt."""
    sampling = request.sampling
    return {
        OPERATION: operation_of(request),
        PROVIDER: "headrace",
        REQUEST_MODEL: request.model,
        MAX_TOKENS: sampling.max_tokens,
        TEMPERATURE: sampling.temperature,
        TOP_P: sampling.top_p,
        TOP_K: sampling.top_k,
        FREQUENCY_PENALTY: sampling.frequency_penalty,
        PRESENCE_PENALTY: sampling.presence_penalty,
        OUTPUT_TYPE: "text" if sampling.json_schema is None else "json",
        SEED: sampling.seed,
        JOB_ID: request.id,
        TENANT: request.tenant,
        PRIORITY: str(request.priority),
    }


def of_report(report: Report) -> Mapping[str, Value]:
    """What became of it; never the answer."""
    reasons = [report.finish_reason] if report.finish_reason else []
    return {
        INPUT_TOKENS: report.prompt_tokens,
        OUTPUT_TOKENS: report.output_tokens,
        FINISH_REASONS: reasons,
        RESPONSE_MODEL: report.model,
        CACHE_READ_TOKENS: report.cached_tokens,
        BATCH_SIZE: report.batch_size,
        WORKER: report.worker,
        ATTEMPT: report.attempt,
    }

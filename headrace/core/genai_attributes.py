"""Names of span attributes: OpenTelemetry's for generative AI, and our own.

The former still change (semantic conventions 1.37, status "development"): they stand here alone.
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
SEED = "gen_ai.request.seed"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
FINISH_REASONS = "gen_ai.response.finish_reasons"

JOB_ID = "headrace.job_id"
TENANT = "headrace.tenant"
PRIORITY = "headrace.priority"
ATTEMPT = "headrace.attempt"
WORKER = "headrace.worker"
BATCH_SIZE = "headrace.batch_size"
CACHED_TOKENS = "headrace.cached_tokens"
STATE = "headrace.state"
REASON = "headrace.reason"
JOBS = "headrace.jobs"
STEPS = "headrace.steps"


def of_request(request: Request) -> Mapping[str, Value]:
    """What was asked; never the prompt."""
    sampling = request.sampling
    return {
        OPERATION: "text_completion",
        PROVIDER: "headrace",
        REQUEST_MODEL: request.model,
        MAX_TOKENS: sampling.max_tokens,
        TEMPERATURE: sampling.temperature,
        TOP_P: sampling.top_p,
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
        CACHED_TOKENS: report.cached_tokens,
        BATCH_SIZE: report.batch_size,
        WORKER: report.worker,
        ATTEMPT: report.attempt,
    }

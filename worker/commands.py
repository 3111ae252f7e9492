"""Commands about running jobs, as they reach a worker over RQ's channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.core.jobs.handover import Claim

STOP_JOB, STOP_EXECUTION, DROP_EXECUTION = "stop-job", "stop-execution", "drop-execution"
"""Commands about one job: the first two are RQ's, the last comes from `cancel.lua`."""

FIELDS = ("command", "job_id", "execution_id")


@dataclass(frozen=True, slots=True)
class Command:
    """Somebody's wish about a running job; about one execution, where it names one."""

    name: str
    job_id: str
    execution_id: str

    @classmethod
    def decode(cls, payload: Mapping[str, Any]) -> Command:
        """Raises `ValueError` for a payload whose fields are no text."""
        fields = [payload.get(name, "") for name in FIELDS]
        if not all(isinstance(field, str) for field in fields[1:]):
            raise ValueError("a job's id and an execution's id are text")
        return cls(*fields)

    @property
    def is_about_a_job(self) -> bool:
        return self.name in (STOP_JOB, STOP_EXECUTION, DROP_EXECUTION)

    def means(self, claim: Claim) -> bool:
        return self.execution_id in ("", claim.execution_id)

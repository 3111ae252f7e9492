"""One error tree.

HeadraceError
├── SettingsError       a setting is missing or wrong; names the variable
├── Unauthorised        no API key, or none that is valid
├── Forbidden           the caller's key does not allow this
│   └── CrossSiteRequest another site's page sent it, and no key protects the API
├── UntrustedHost       the Host header may be another site's, and no key protects the API
├── ApiKeyNotFound      no API key with this id
├── InvalidRequest      the caller sent something unusable; names the field
│   └── UnknownModel    a model that this deployment does not serve
├── JobNotFound         no job with this id
├── WrongState          the job is not in the state that this needs
├── NotReplayable       a dead letter whose request no worker could run
├── MayRetry            refused for now; says when to ask again
│   ├── QueueFull       the queue is at its bound
│   ├── SchemaUndecided no worker has tried a JSON schema yet
│   └── DeadlineUnmeetable the backlog is too long for a job's deadline
├── LimitExceeded       the caller's key is at one of its limits; `code` says which
├── IdempotencyConflict one idempotency key, two requests
├── Unavailable         Redis is away, or no model card exists yet
│   └── OutOfDescriptors a process has too many connections open
├── WaitEnded           a caller's wait ended before its job
├── JobFailed           the job that a caller waited for did not succeed
│   ├── CallerLeft      its caller hung up
│   ├── DeadlineExceeded its time was over before it could
│   └── SchemaViolation its answer does not fit its JSON schema
├── ModelError          a model cannot be found, read or prepared
│   ├── InfidelityError an engine answers otherwise than its model
│   └── SelfCheckError  an engine fails its check before its first job
├── EngineError         the engine as a whole cannot go on
│   └── EngineDied      the process that ran the engine is gone
└── StateFolderBusy     another `headrace up` owns the state folder
"""

from __future__ import annotations

CANNOT_EVER = 78
"""Exit code of a worker that would fail again in the same way (EX_CONFIG of sysexits.h)."""


class HeadraceError(Exception):
    """Root of everything that Headrace raises on purpose; `code` is for programs."""

    code = "internal_error"


class SettingsError(HeadraceError):
    """Raised at start when the environment or an option holds an unusable value."""


class Unauthorised(HeadraceError):
    """Raised when a caller has to show a valid API key; `challenge` says how."""

    code = "invalid_api_key"

    def __init__(self, message: str, challenge: str = "Bearer") -> None:
        super().__init__(message)
        self.challenge = challenge


class Forbidden(HeadraceError):
    """Raised when a caller's API key lacks a scope."""

    code = "insufficient_scope"


class CrossSiteRequest(Forbidden):
    """Raised when a page of another site sends a request that changes something, without a key."""

    code = "cross_site_request"

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"a page of another site sent this ({origin[:200]!r}), and no API key protects this "
            "API; allow its origin with HEADRACE_CORS_ORIGINS, or make a key: headrace keys create"
        )


class UntrustedHost(HeadraceError):
    """Raised when the API has no key, and the Host header is no name that is known to be its own.

    Such a name may be another site's that leads here (DNS rebinding).
    """

    code = "untrusted_host"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"the Host header {host[:200]!r} is not known to be a name of this API, and no API key "
            "protects it; call it by IP address or localhost, name the host in "
            "HEADRACE_ALLOWED_HOSTS, or make a key: headrace keys create"
        )


class ApiKeyNotFound(HeadraceError):
    """Raised when an id names no API key."""


class InvalidRequest(HeadraceError):
    """Raised before the queue when a body, a field or a prompt cannot be served."""

    def __init__(self, message: str, param: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class UnknownModel(InvalidRequest):
    """Raised when a caller asks for a model other than the deployment's."""


class JobNotFound(HeadraceError):
    """Raised when an id names no job, or one whose result has expired."""

    code = "job_not_found"


class WrongState(HeadraceError):
    """Raised when a job waits, runs or has ended, and what was asked of it needs another state."""

    code = "wrong_state"


class NotReplayable(HeadraceError):
    """Raised when a dead letter cannot be read, or was tokenised for another model."""

    code = "not_replayable"


class MayRetry(HeadraceError):
    """Raised where the same request will probably be taken in `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(MayRetry):
    """Raised by submit when as many jobs or tokens wait as `HEADRACE_QUEUE_MAX_…` allows."""

    code = "queue_full"


class SchemaUndecided(MayRetry):
    """Raised when no worker has said in time whether it can hold output to a JSON schema."""

    param = "response_format.json_schema.schema"
    code = "schema_undecided"


class DeadlineUnmeetable(MayRetry):
    """Raised by submit when so much waits that a job would end after its deadline."""

    param = "deadline_s"
    code = "deadline_unmeetable"


class LimitExceeded(HeadraceError):
    """Raised by submit at a limit of the caller's key, which `code` names.

    `retry_after_s` is when the same request would pass, where that can be said.
    """

    def __init__(self, message: str, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s


class IdempotencyConflict(HeadraceError):
    """Raised by submit when the caller's key was used for another request before."""

    param = "Idempotency-Key"
    code = "idempotency_conflict"


class Unavailable(HeadraceError):
    """Raised when a part that a request needs is away and may come back."""

    code = "unavailable"


class OutOfDescriptors(Unavailable):
    """Raised when a process has too many connections open to serve another caller."""

    code = "out_of_descriptors"


class WaitEnded(HeadraceError):
    """Raised when a wait runs out; the job goes on under `job_id`."""

    code = "wait_ended"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} is not done yet; it goes on: GET /v1/jobs/{job_id}")
        self.job_id = job_id


class JobFailed(HeadraceError):
    """Raised to a waiting caller whose job ended in a state other than succeeded."""

    code = "job_failed"

    def __init__(self, job_id: str, state: str, reason: str) -> None:
        super().__init__(f"job {job_id} {state}: {reason}")
        if state == "cancelled" and self.code == JobFailed.code:
            self.code = "job_cancelled"
        self.job_id = job_id
        self.state = state


class CallerLeft(JobFailed):
    """Raised where a job was cancelled because the caller that waited for it hung up."""

    code = "caller_disconnected"


class DeadlineExceeded(JobFailed):
    """Raised to a waiting caller whose job expired; `reason` says whether it had begun to run."""

    code = "deadline_exceeded"

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(job_id, "expired", reason)


class SchemaViolation(JobFailed):
    """Raised to a waiting caller whose job's answer does not fit its JSON schema."""

    code = "schema_violation"

    def __init__(self, job_id: str, complaint: str) -> None:
        super().__init__(job_id, "failed", complaint)


class ModelError(HeadraceError):
    """Raised when a model cannot be found, read or prepared; says what was tried."""


class InfidelityError(ModelError):
    """Raised when an engine's answers are further from its model's own than is allowed."""


class SelfCheckError(ModelError):
    """Raised by an engine that does not answer as its model does, before its first job."""


class EngineError(HeadraceError):
    """Raised by an engine that cannot serve any request; the worker starts another."""


class EngineDied(EngineError):
    """Raised when the process that ran the engine has ended, or had to be killed.

    `request_ids` are those of the requests that ran in it.
    """

    def __init__(self, message: str, request_ids: frozenset[str]) -> None:
        super().__init__(message)
        self.request_ids = request_ids


class StateFolderBusy(HeadraceError):
    """Raised by `headrace up` when another one runs on the same state folder."""

"""A helper process that tries JSON schemas for a worker."""

from __future__ import annotations

from collections.abc import Sequence

from batcher.helper_process import OUT_OF_TIME, PATIENCE_S, HelperProcess, Lost
from headrace.core.json_schema.verdict import Verdict


class TrialProcess:
    """Tries one schema at a time. A trial may take `limit_s` seconds of the helper's CPU time.

    One thread makes all calls.
    """

    def __init__(
        self,
        command: Sequence[str],
        limit_s: float,
        patience_s: float = PATIENCE_S,
        told: object = None,
    ) -> None:
        self._limit_s = limit_s
        self._helper = HelperProcess([*command, str(limit_s)], patience_s, told)

    def start(self) -> None:
        """Starts a helper, if none runs, without waiting until it is ready."""
        self._helper.start()

    def judge(self, schema: str) -> Verdict | None:
        """Tries a schema, and refuses one that the helper dies of.

        None where the helper starved, did not start or was ended from outside.
        """
        answer = self._helper.ask(schema)
        if isinstance(answer, str):
            return Verdict.decode(answer)
        return self._verdict(answer)

    def close(self) -> None:
        """Ends the helper."""
        self._helper.close()

    def _verdict(self, lost: Lost) -> Verdict | None:
        if lost.exit_code is None:
            return None
        if lost.exit_code == OUT_OF_TIME:
            return Verdict(self._limit_s, is_whole=False)
        reason = f"the grammar's compiler failed on it (exit code {lost.exit_code})"
        return Verdict(0.0, refusal=reason)

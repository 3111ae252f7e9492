"""Callers with keys, as tests of the API need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from headrace.core.api_key import Limits, Scope
from headrace.core.api_key_store import ApiKeyStore

USER = (Scope.SUBMIT, Scope.READ)


class Caller:
    """Sends its key with every request."""

    def __init__(
        self,
        client: FlaskClient,
        keys: ApiKeyStore,
        tenant: str,
        *scopes: Scope,
        **limits: Any,
    ) -> None:
        self._client = client
        self.text, self.key = keys.create(
            tenant, frozenset(scopes or USER), limits=Limits(**limits)
        )

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        own = {"Authorization": f"Bearer {self.text}", **(headers or {})}
        return self._client.open(path, method=method, headers=own, **options)

    def submit(self, **fields: Any) -> TestResponse:
        body = {"prompt": "hello", "max_tokens": 3, "temperature": 0} | fields
        return self.ask("POST", "/v1/jobs", json=body)

    def job(self, **fields: Any) -> str:
        """The id of a new job."""
        response = self.submit(**fields)
        assert response.status_code == 202, response.text
        assert response.json is not None
        return str(response.json["id"])


def code_of(response: TestResponse) -> str:
    assert response.json is not None
    return str(response.json["error"]["code"])

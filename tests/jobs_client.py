"""The jobs API, as tests speak to a deployment."""

from __future__ import annotations

from typing import Any

import httpx


class JobsClient:
    """`client` speaks to the API."""

    client: httpx.Client

    def submit(self, prompt: str, **fields: Any) -> str:
        body = {"prompt": prompt, "temperature": 0} | fields
        response = self.client.post("/v1/jobs", json=body)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def job(self, job_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        response = self.client.get(f"/v1/jobs/{job_id}", params={"wait": wait_s})
        assert response.status_code == 200, response.text
        job: dict[str, Any] = response.json()
        return job

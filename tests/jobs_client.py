"""The jobs API, as tests speak to a deployment."""

from __future__ import annotations

from collections.abc import Iterable
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

    def newest(self) -> list[str]:
        """Ids of the newest jobs, at most a hundred."""
        listed = self.client.get("/v1/jobs", params={"limit": 100}).json()["data"]
        return [str(job["id"]) for job in listed]

    def cancel(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            assert self.client.delete(f"/v1/jobs/{job_id}").status_code == 200

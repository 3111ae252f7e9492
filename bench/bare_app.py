"""The least that a Flask app can do for a JSON request: the yardstick of `bench.api`."""

from __future__ import annotations

from uuid import uuid4

from flask import Flask, Response, jsonify, request


def create_app() -> Flask:
    app = Flask("bare")

    @app.post("/v1/jobs")
    def accept() -> tuple[Response, int]:
        body = request.get_json()
        return jsonify({"id": uuid4().hex, "status": "queued", "size": len(body["prompt"])}), 202

    return app

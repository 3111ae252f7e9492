"""`/openapi.json`, and at `/docs/` Swagger UI, which renders it.

The page is made of files of its package; its policy forbids it to load anything else. A browser
logs in to both as it does to the dashboard.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from flask_swagger_ui import get_swaggerui_blueprint

from api.caller import DOCS, OPENAPI
from api.openapi import build_document
from api.operation import Answer, Operation
from api.services import services

PAGE, DOCUMENT = "/docs", "/openapi.json"
OPTIONS = {
    "app_name": "Headrace",
    "layout": "BaseLayout",
    "validatorUrl": None,  # else it would send the address of the document to swagger.io
}
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)

blueprint = Blueprint(OPENAPI, __name__)


@blueprint.get(DOCUMENT)
@Operation(answers={200: Answer(dict[str, Any])})
def document() -> Response:
    """This document."""
    kept = current_app.extensions
    if OPENAPI not in kept:
        kept[OPENAPI] = json.dumps(build_document(current_app, services().settings))
    return Response(kept[OPENAPI], mimetype="application/json")


def mount(app: Flask) -> None:
    page: Blueprint = get_swaggerui_blueprint(PAGE, DOCUMENT, OPTIONS, blueprint_name=DOCS)
    page.after_request(_guard)
    app.register_blueprint(page)
    app.register_blueprint(blueprint)


def _guard(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response

"""`/api/docs`: the API's own description as a page; no script and nothing from elsewhere."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.guard import session_of
from web.site import site_of

router = APIRouter(include_in_schema=False)


@router.get("/api/docs")
def docs(request: Request) -> Response:
    """Every call of the API: parameters, body, answers, and the schema of each command."""
    request.state.session = session_of(request, touch=False)  # for the navigation; anybody may read this page
    document: dict[str, Any] = request.app.openapi()
    calls = [
        {"path": path, "method": method.upper(), **call}
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    ]
    schemas = {
        name: json.dumps(schema, indent=2, ensure_ascii=False)
        for name, schema in document.get("components", {}).get("schemas", {}).items()
    }
    return site_of(request).view.page(request, "api_docs.html", calls=calls, schemas=schemas)

"""Style sheets and scripts, named by their content, so that a browser may keep them for ever.

htmx comes from the installed package `django_htmx`, which carries it; Django itself is never configured.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_OWN = Path(__file__).parent / "static"
_HTMX = {"htmx.js": "htmx-2.min.js", "sse.js": "ext/hx-sse-2.min.js"}


@dataclass(frozen=True)
class _Asset:
    body: bytes
    packed: bytes
    media_type: str


class Assets:
    """All files that pages refer to, in memory; `url("console.css")` is `/static/console.<hash>.css`."""

    def __init__(self) -> None:
        package = importlib.util.find_spec("django_htmx")
        assert package is not None, "django-htmx is a dependency of tocsin"
        assert package.origin is not None
        htmx = Path(package.origin).parent / "static" / "django_htmx"
        files = {path.name: path for path in _OWN.iterdir() if path.is_file()}
        files |= {name: htmx / path for name, path in _HTMX.items()}
        self._urls: dict[str, str] = {}
        self._by_file: dict[str, _Asset] = {}
        for name, path in files.items():
            body = path.read_bytes()
            stem, _, suffix = name.rpartition(".")
            file = f"{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{suffix}"
            media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            self._urls[name] = f"/static/{file}"
            self._by_file[file] = _Asset(body, gzip.compress(body, mtime=0), media_type)

    def url(self, name: str) -> str:
        """Where a page finds the file `name`."""
        return self._urls[name]

    async def serve(self, request: Request) -> Response:
        """`GET /static/{file}`: the file, for ever; an unknown or outdated name is 404."""
        asset = self._by_file.get(request.path_params["file"])
        if asset is None:
            return PlainTextResponse("not found", 404)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.media_type, headers=headers)
        return Response(asset.body, media_type=asset.media_type, headers=headers)

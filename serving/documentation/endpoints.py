"""GET /docs: Swagger UI with its assets from this server, so that it works without any network outside.

The assets come with the package fastapi-offline (MIT; Swagger UI itself is Apache-2.0). The page starts its
script from a file of its own, so the content security policy needs no inline exception for scripts.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

DOCS_PATH = "/docs"
ASSETS_PATH = "/docs/assets"
OPENAPI_PATH = "/openapi.json"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Piston partner API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{ASSETS_PATH}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the document itself is at <a href="{OPENAPI_PATH}">{OPENAPI_PATH}</a>.
</noscript>
<script src="{ASSETS_PATH}/swagger-ui-bundle.js"></script>
<script src="{DOCS_PATH}/start.js"></script>
</body>
</html>
"""

_START = f"""SwaggerUIBundle({{
  url: "{OPENAPI_PATH}",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  showExtensions: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
}});
"""

router = APIRouter(include_in_schema=False)


def assets() -> Mount:
    """The route that serves Swagger UI's files."""
    folder = Path(str(files("fastapi_offline"))) / "static"
    return Mount(ASSETS_PATH, StaticFiles(directory=folder), name="docs-assets")


@router.get(DOCS_PATH)
async def docs() -> Response:
    """The page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get(f"{DOCS_PATH}/start.js")
async def start_script() -> Response:
    """What starts Swagger UI on the page."""
    return Response(_START, media_type="text/javascript")

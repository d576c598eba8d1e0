"""The WebSocket protocol for machines, as ``/openapi.json`` is for HTTP."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from app.api.asyncapi import asyncapi_document

router = APIRouter(tags=["asyncapi"])


@router.get("/asyncapi.json")
async def asyncapi(request: Request) -> JSONResponse:
    """Return the AsyncAPI document of the chat, with the address it was asked at as the server's."""
    app: FastAPI = request.app
    base = request.base_url
    document = asyncapi_document(
        title=app.title,
        version=app.version,
        server_host=base.netloc,
        protocol="wss" if base.scheme == "https" else "ws",
    )
    return JSONResponse(document)

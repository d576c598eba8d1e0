"""Recordings over HTTP: what there is of a thread, its sound, deleting it."""

import re
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Header, HTTPException, Path, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel

from app.api.callers import CallerDep
from app.api.deps import Services, ServicesDep
from app.core.errors import NotFound
from app.models.audio import BYTES_PER_SAMPLE, SPEAKING_RATE
from app.models.inputs import ThreadId
from app.models.recordings import RECORDING_ID, RecordingInfo
from app.services.recordings import RecordingService

router = APIRouter(prefix="/api/v1", tags=["recordings"])

RecordingPath = Annotated[str, Path(pattern=RECORDING_ID)]
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-0*[1-9]\d{0,17})", re.ASCII)
_SOUND = {"schema": {"type": "string", "format": "binary"}}
_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The sound in stereo: the rider is on the left, the agent on the right.",
        "content": {"audio/ogg": _SOUND, "audio/wav": _SOUND},
    },
    206: {"description": "The part that `Range` asks for, of Ogg.", "content": {"audio/ogg": _SOUND}},
}
_HEADERS = {
    # What is deleted must not live on in a cache.
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
}


class Recordings(BaseModel):
    """The recordings of a thread, oldest first."""

    recordings: list[RecordingInfo]


class Deleted(BaseModel):
    """A recording that is no more."""

    id: str
    deleted: bool = True


def _service(services: Services) -> RecordingService:
    if services.recordings is None:
        raise NotFound("Este servidor no graba conversaciones.")
    return services.recordings


@router.get("/recordings")
async def find(thread_id: Annotated[ThreadId, Query()], services: ServicesDep, caller: CallerDep) -> Recordings:
    """List the recordings of a thread; none where nothing is recorded."""
    if services.recordings is None:
        await services.threads.authorise(thread_id, caller)
        return Recordings(recordings=[])
    return Recordings(recordings=list(await services.recordings.list(thread_id, caller)))


@router.get("/recordings/{recording_id}")
async def show(recording_id: RecordingPath, services: ServicesDep, caller: CallerDep) -> RecordingInfo:
    """Return what is known of a recording: when it was made, what was consented to, who speaks where."""
    return await _service(services).get(recording_id, caller)


@router.get("/recordings/{recording_id}/audio", response_class=Response, responses=_AUDIO)
async def audio(
    recording_id: RecordingPath,
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    format: Annotated[  # noqa: A002 - the wire's name
        Literal["ogg", "wav"], Query(description="`ogg` is Opus in Ogg, as it is kept; `wav` is made of it.")
    ] = "ogg",
    range: Annotated[str | None, Header(description="One range of bytes, of Ogg; others are ignored.")] = None,  # noqa: A002
) -> Response:
    """Return a recording's sound. One that goes on cannot be heard yet."""
    recordings = _service(services)
    if format == "wav":
        info, pieces = await recordings.wav(recording_id, caller)
        length = 44 + info.duration_ms * SPEAKING_RATE // 1000 * 2 * BYTES_PER_SAMPLE
        headers = {**_HEADERS, "Content-Length": str(length), "Content-Disposition": _named(f"{recording_id}.wav")}
        return StreamingResponse(pieces, media_type="audio/wav", headers=headers)
    path = await recordings.audio(recording_id, caller)
    try:
        known = await anyio.Path(path).stat()
    except FileNotFoundError as error:
        raise NotFound("No existe esa grabación.") from error
    if range is not None:
        _keep_range(request, range, known.st_size)
    headers = {**_HEADERS, "Content-Disposition": _named(path.name)}
    return FileResponse(path, media_type="audio/ogg", headers=headers, stat_result=known)


@router.delete("/recordings/{recording_id}")
async def delete(recording_id: RecordingPath, services: ServicesDep, caller: CallerDep) -> Deleted:
    """Delete a recording, also one that goes on."""
    await _service(services).delete(recording_id, caller)
    return Deleted(id=recording_id)


def _named(name: str) -> str:
    return f'inline; filename="{name}"'


def _keep_range(request: Request, asked: str, size: int) -> None:
    """Leave a request its range only where it is one that can be sent; as RFC 9110 has it, others are ignored.

    Raises:
        HTTPException: 416, where it begins after the end.
    """
    found = _RANGE.fullmatch(asked.strip())
    begin, end = (int(each) if each else None for each in found.groups()) if found else (None, None)
    is_good = found is not None and not (begin is not None and end is not None and end < begin)
    if is_good and begin is not None and begin >= size:
        raise HTTPException(416, headers={"Content-Range": f"bytes */{size}"})
    if not is_good:
        request.scope["headers"] = [each for each in request.scope["headers"] if each[0] != b"range"]

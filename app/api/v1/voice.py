"""What the voice of this server can do, for clients that show a microphone only where one is of use."""

from fastapi import APIRouter
from pydantic import BaseModel

from app.api.deps import ServicesDep
from app.models.audio import SPEAKING_RATE, Encoding

router = APIRouter(tags=["voice"])


class RecordingOffer(BaseModel):
    """Whether conversations are recorded of riders who consent, and to what."""

    on: bool
    consent: str
    """What a rider is told."""


class VoiceOffer(BaseModel):
    """What a client may ask for."""

    hears: bool
    """Whether ``audio_start`` opens a microphone."""
    speaks: bool
    """Whether answers can be spoken."""
    sample_rate: int = SPEAKING_RATE
    """Samples per second of ``tts_chunk``."""
    encodings: list[Encoding]
    """What a microphone may send."""
    recording: RecordingOffer | None


@router.get("/api/v1/voice")
async def voice(services: ServicesDep) -> VoiceOffer:
    """Say what the voice of this server can do."""
    settings = services.settings
    return VoiceOffer(
        hears=services.voice.hears,
        speaks=services.voice.speaks,
        encodings=["pcm_s16le", "opus", "mulaw"] if services.voice.hears else [],
        recording=None
        if settings.recordings_folder is None
        else RecordingOffer(on=True, consent=settings.recording_consent),
    )

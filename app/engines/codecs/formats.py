"""Which decoder a format takes."""

from app.core.errors import BadInput
from app.engines.codecs.base import AudioDecoder
from app.engines.codecs.mulaw import MulawDecoder
from app.engines.codecs.opus import OpusDecoder
from app.engines.codecs.pcm import PcmDecoder
from app.models.audio import AudioFormat

MIN_RATE, MAX_RATE = 8_000, 96_000
"""Samples per second of what a microphone may send."""


def open_decoder(audio: AudioFormat) -> AudioDecoder:
    """Return a decoder for one microphone.

    Raises:
        BadInput: With the code ``invalid_audio``: nothing reads this format.
    """
    if audio.encoding == "opus":
        return OpusDecoder()
    if not MIN_RATE <= audio.sample_rate <= MAX_RATE:
        raise BadInput(f"sample_rate va de {MIN_RATE} a {MAX_RATE}.", code="invalid_audio")
    return MulawDecoder(audio.sample_rate) if audio.encoding == "mulaw" else PcmDecoder(audio.sample_rate)

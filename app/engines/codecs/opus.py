"""Opus: a packet in each frame, as WebCodecs' ``AudioEncoder`` makes them. Mono and stereo."""

from collections.abc import Iterable

import av

from app.core.errors import BadInput
from app.engines.codecs.resampling import Resampler

_RATE = 48_000
"""Opus has its own clock, whatever the microphone's."""
_MAX_PACKET = 48 * 1275
"""Bytes: as many parts as a packet may have, each as large as it may be. It never lasts longer than 120 ms."""


class OpusDecoder:
    """Decodes packets with libopus; two channels are mixed into one."""

    def __init__(self) -> None:
        self._codec = av.AudioCodecContext.create("libopus", "r")
        self._codec.sample_rate = _RATE
        self._codec.layout = "mono"
        self._resampler = Resampler(_RATE)

    def decode(self, frame: bytes) -> Iterable[bytes]:
        """Return the sound of a packet. A broken one leaves the stream as it was."""
        if not 0 < len(frame) <= _MAX_PACKET:
            raise BadInput("Un bloque de opus lleva un paquete.", code="invalid_audio")
        try:
            decoded = self._codec.decode(av.Packet(frame))
        except av.FFmpegError as error:
            raise BadInput("El paquete de opus no se puede leer.", code="invalid_audio") from error
        return [self._resampler.resample(sound.to_ndarray()[0]) for sound in decoded]

    def flush(self) -> bytes:
        """Return what was held back, at the end."""
        return self._resampler.flush()

"""Real Spanish speech for real recognisers, from the one voice that is always there."""

import ctypes

import espeakng_loader
import numpy
import soxr

from app.models.audio import HEARING_RATE

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: sound is given to the callback before the call returns
_UTF8 = 1
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def spoken(text: str) -> bytes:
    """Return a text as it is spoken, mono ``pcm_s16le`` at ``HEARING_RATE``."""
    library = ctypes.cdll.LoadLibrary(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    assert rate > 0
    sound = bytearray()

    @_Callback
    def take(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: object) -> int:
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, count * 2))
        return 0

    library.espeak_SetSynthCallback(take)
    library.espeak_SetVoiceByName(b"es-419")
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, _UTF8, None, None)
    return soxr.resample(numpy.frombuffer(bytes(sound), dtype="<i2"), rate, HEARING_RATE).astype("<i2").tobytes()

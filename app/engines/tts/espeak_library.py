"""The library of eSpeak NG, by ctypes. For worker processes alone.

It is GPL-3, so it is loaded into a process of its own and never into the server's; and all its state is one global
per process, so one thread uses it.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import espeakng_loader  # type: ignore[import-untyped]

SAMPLE_RATE = 22_050
"""Samples per second that its formant voices have."""

_SYNCHRONOUS = 2
_NO_EXIT = 1 << 15
"""Where it cannot begin it says so, instead of ending the process."""
_UTF8 = 1
_IPA = 2
_RATE_PARAMETER = 1
_OK = 0
_VOICES = {"es": "es-419"}
"""Voices of languages, where the one that has the language's name is not wanted: riders are in Latin America."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakLibrary:
    """eSpeak NG, in one language at a time.

    Args:
        words_per_minute: How fast it speaks.

    Raises:
        RuntimeError: The library cannot begin.
    """

    def __init__(self, *, words_per_minute: int = 165) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data = espeakng_loader.get_data_path().encode()
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _NO_EXIT) != SAMPLE_RATE:
            raise RuntimeError("eSpeak NG cannot begin")
        self._library.espeak_SetParameter(_RATE_PARAMETER, words_per_minute, 0)
        self._language = ""

    def use(self, language: str) -> None:
        """Speak a language from now on.

        Args:
            language: ISO 639-1.

        Raises:
            RuntimeError: There is no such voice.
        """
        if language == self._language:
            return
        voice = _VOICES.get(language, language)
        if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
            raise RuntimeError(f"eSpeak NG has no voice {voice}")
        self._language = language

    def phonemes(self, text: str) -> str:
        """Return how a text is pronounced, in IPA with stress. Punctuation is gone."""
        position = ctypes.c_char_p(_encoded(text))
        spoken: list[str] = []
        while position.value is not None:
            ipa: bytes | None = self._library.espeak_TextToPhonemes(ctypes.byref(position), _UTF8, _IPA)
            spoken.append((ipa or b"").decode())
        return " ".join(" ".join(spoken).split())

    def speak(self, text: str) -> list[bytes]:
        """Return the sound of a text: mono ``pcm_s16le`` at ``SAMPLE_RATE``, in the pieces in which it was made.

        Raises:
            RuntimeError: The library refused.
        """
        words = _encoded(text)
        with self._collected() as pieces:
            done = self._library.espeak_Synth(words, len(words) + 1, 0, 0, 0, _UTF8, None, None)
        if done != _OK:
            raise RuntimeError("eSpeak NG cannot speak")
        return pieces

    @contextmanager
    def _collected(self) -> Iterator[list[bytes]]:
        pieces: list[bytes] = []

        def take(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
            if samples and count:
                pieces.append(ctypes.string_at(samples, count * 2))
            return 0

        callback = _Callback(take)  # held until the library is done with it
        self._library.espeak_SetSynthCallback(callback)
        yield pieces


def _encoded(text: str) -> bytes:
    """Return a text as the library reads it: its end is the first NUL, and lone surrogates are nothing it knows."""
    return text.replace("\0", " ").encode(errors="replace")

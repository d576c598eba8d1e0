"""The voice that settings name: what hears, what speaks, and what both need. All of it is an extra."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

from pydantic import SecretStr

from app.bootstrap.stores import extra
from app.core.config import Settings
from app.core.errors import AppError, Misconfigured
from app.core.tasks import Chores
from app.engines.endpoint.base import EndpointEngine
from app.engines.stt.base import SttEngine
from app.engines.tts.base import TtsEngine
from app.engines.vad.base import VadEngine
from app.engines.worker import WorkerPool
from app.pipeline.endpointing import EndpointRules
from app.pipeline.hearing import Hearing
from app.pipeline.tts import SoundCache, Speech
from app.taxi.key_terms import key_terms
from app.taxi.phrases import often_said
from app.taxi.places import Gazetteer
from app.taxi.reading.unfinished import is_unfinished


@dataclass(frozen=True, slots=True)
class Voice:
    """What hears and what speaks; None where nothing does."""

    hearing: Hearing | None = None
    speech: Speech | None = None


@asynccontextmanager
async def open_voice(settings: Settings, gazetteer: Gazetteer) -> AsyncIterator[Voice]:
    """Open what the settings name, with its models loaded.

    Raises:
        Misconfigured: What the settings name by its name cannot be had.
    """
    async with AsyncExitStack() as stack:
        parts = _Parts(settings, stack)
        hearing = await parts.hearing(gazetteer)
        speech = await parts.speech()
        yield Voice(hearing, speech)


class _Parts:
    """Makes engines, each with what it needs open for as long as ``stack`` is."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack

    async def hearing(self, gazetteer: Gazetteer) -> Hearing | None:
        """Return what hears."""
        settings = self._settings
        engines = [await self._stt(name) for name in self._stt_names()]
        if not engines:
            return None
        with extra("voice"):
            from app.engines.codecs.formats import open_decoder
            from app.engines.stt.fallback import FallbackStt
        timeout = settings.voice_timeout_seconds
        return Hearing(
            decoders=open_decoder,
            vad=self._vad(),
            stt=engines[0] if len(engines) == 1 else FallbackStt(engines, timeout=timeout),
            rules=EndpointRules(
                min_silence_ms=settings.endpoint_min_silence_ms,
                max_silence_ms=settings.endpoint_max_silence_ms,
                max_utterance_ms=int(settings.max_utterance_seconds * 1000),
            ),
            endpoint=self._endpoint(),
            is_unfinished=is_unfinished,
            terms=key_terms(gazetteer),
            stt_timeout_seconds=timeout * len(engines),
        )

    async def speech(self) -> Speech | None:
        """Return what speaks, with the phrases made that are said again and again."""
        settings = self._settings
        engines = [await self._tts(name) for name in self._tts_names()]
        if not engines:
            return None
        with extra("voice"):
            from app.engines.tts.fallback import open_fallback_tts
            from app.taxi.aloud import aloud
        timeout = settings.voice_timeout_seconds
        engine = engines[0]
        if len(engines) > 1:
            engine = await self._stack.enter_async_context(open_fallback_tts(engines, timeout=timeout))
        speech = Speech(
            engine,
            aloud,
            language=settings.voice_language,
            cache=SoundCache(settings.tts_cache_mb << 20),
            timeout_seconds=timeout * len(engines),
        )
        chores = Chores()
        self._stack.push_async_callback(chores.close)
        chores.start(speech.warm((*speech.fillers, *often_said())))
        return speech

    def _stt_names(self) -> Sequence[str]:
        """Return the engines that hear, the wanted one first."""
        settings = self._settings
        if "auto" not in settings.stt:
            return [name for name in settings.stt if name != "off"]
        found = [name for name in ("assemblyai", "deepgram") if getattr(settings, f"{name}_api_key") is not None]
        if _is_installed("faster_whisper") and "whisper_model" in settings.model_fields_set:
            found.append("whisper")
        return found

    def _tts_names(self) -> Sequence[str]:
        """Return the engines that speak, the wanted one first."""
        settings = self._settings
        if "auto" not in settings.tts:
            return [name for name in settings.tts if name != "off"]
        if not self._stt_names():
            return []
        found = [
            name
            for name in ("cartesia", "elevenlabs")
            if getattr(settings, f"{name}_api_key") is not None and getattr(settings, f"{name}_voice") is not None
        ]
        if settings.kokoro_folder is not None:
            found.append("kokoro")
        if settings.piper_voice is not None:
            found.append("piper")
        if _is_installed("espeakng_loader"):
            found.append("espeak")
        return found

    async def _stt(self, name: str) -> SttEngine:
        settings, timeout = self._settings, self._settings.voice_timeout_seconds
        with extra("voice"):
            match name:
                case "whisper":
                    from app.engines.stt.whisper import WhisperStt

                    _need("faster_whisper")
                    whisper = WhisperStt(settings.whisper_model, workers=settings.whisper_workers, timeout=timeout)
                    await self._load(whisper.pool)
                    return whisper
                case "assemblyai":
                    from app.engines.stt.assemblyai import assemblyai_stt

                    key = _given(settings.assemblyai_api_key, "ASSEMBLYAI_API_KEY")
                    return assemblyai_stt(key, settings.assemblyai_url, timeout=timeout)
                case "deepgram":
                    from app.engines.stt.deepgram import deepgram_stt

                    key = _given(settings.deepgram_api_key, "DEEPGRAM_API_KEY")
                    return deepgram_stt(key, settings.deepgram_url, model=settings.deepgram_model, timeout=timeout)
                case "openai":
                    from app.engines.stt.openai import open_openai_stt

                    server = self._openai()
                    openai = open_openai_stt(*server, model=settings.openai_stt_model, timeout=timeout)
                    return await self._stack.enter_async_context(openai)
        raise Misconfigured(f"STT={name} is not known")

    async def _tts(self, name: str) -> TtsEngine:
        settings, timeout = self._settings, self._settings.voice_timeout_seconds
        with extra("piper" if name == "piper" else "voice"):
            match name:
                case "espeak":
                    from app.engines.tts.espeak import EspeakTts

                    _need("espeakng_loader")
                    espeak = EspeakTts(timeout=timeout)
                    await self._load(espeak.pool)
                    return espeak
                case "kokoro":
                    from app.engines.tts.kokoro import KokoroTts

                    _need("onnxruntime", "espeakng_loader")
                    folder = _given(settings.kokoro_folder, "KOKORO_FOLDER")
                    kokoro = KokoroTts(folder, settings.kokoro_voice, timeout=timeout)
                    await self._load(kokoro.pool)
                    return kokoro
                case "piper":
                    from app.engines.tts.piper import PiperTts

                    _need("piper")
                    piper = PiperTts(_given(settings.piper_voice, "PIPER_VOICE"), timeout=timeout)
                    await self._load(piper.pool)
                    return piper
                case "cartesia":
                    from app.engines.tts.cartesia import open_cartesia

                    cartesia = open_cartesia(
                        _given(settings.cartesia_api_key, "CARTESIA_API_KEY"),
                        settings.cartesia_url,
                        model=settings.cartesia_model,
                        voice=_given(settings.cartesia_voice, "CARTESIA_VOICE"),
                        language=settings.voice_language,
                        timeout=timeout,
                    )
                    return await self._stack.enter_async_context(cartesia)
                case "elevenlabs":
                    from app.engines.tts.elevenlabs import open_elevenlabs

                    elevenlabs = open_elevenlabs(
                        _given(settings.elevenlabs_api_key, "ELEVENLABS_API_KEY"),
                        settings.elevenlabs_url,
                        model=settings.elevenlabs_model,
                        voice=_given(settings.elevenlabs_voice, "ELEVENLABS_VOICE"),
                        language=settings.voice_language,
                        timeout=timeout,
                    )
                    return await self._stack.enter_async_context(elevenlabs)
                case "openai":
                    from app.engines.tts.openai import open_openai_tts

                    server = self._openai()
                    openai = open_openai_tts(
                        *server, model=settings.openai_tts_model, voice=settings.openai_tts_voice, timeout=timeout
                    )
                    return await self._stack.enter_async_context(openai)
        raise Misconfigured(f"TTS={name} is not known")

    def _openai(self) -> tuple[SecretStr | None, str | None]:
        """Return the key and the address of what speaks OpenAI's API."""
        settings = self._settings
        if settings.openai_api_key is None and settings.openai_base_url is None:
            raise Misconfigured("openai needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server without keys")
        return settings.openai_api_key, settings.openai_base_url

    async def _load(self, pool: WorkerPool[Any, Any]) -> None:
        """Start processes with a model, and wait until they have it."""
        await self._stack.enter_async_context(pool.open())
        try:
            await pool.warm()
        except AppError as error:
            raise Misconfigured(f"{pool.name} cannot load its model; the log says why") from error

    def _vad(self) -> VadEngine:
        if self._settings.vad == "energy" or (self._settings.vad == "auto" and not _is_installed("onnxruntime")):
            from app.engines.vad.energy import EnergyVad

            return EnergyVad()
        with extra("voice"):
            from app.engines.vad.silero import SileroVad

            return SileroVad()

    def _endpoint(self) -> EndpointEngine | None:
        weights = self._settings.smart_turn_model
        if weights is None:
            return None
        if not weights.is_file():
            raise Misconfigured("SMART_TURN_MODEL is no file")
        with extra("voice"):
            from app.engines.endpoint.smart_turn import SmartTurn

            return SmartTurn(weights)


T = TypeVar("T")


def _given(value: T | None, name: str) -> T:
    """Return what an engine cannot do without.

    Raises:
        Misconfigured: It is not set.
    """
    if value is None:
        raise Misconfigured(f"{name} is not set")
    return value


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None


def _need(*packages: str) -> None:
    """Raise ``ModuleNotFoundError`` for what a worker process will import."""
    for package in packages:
        if not _is_installed(package):
            raise ModuleNotFoundError(f"no {package}", name=package)

"""A voice agent made with pipecat, to be measured beside ours by ``voztaxi bench voice latency``.

What its own project generator writes for a cascade (``pipecat init``): Silero with its default parameters (0.2 s of
silence), Smart Turn v3 as the default stop strategy, sentences aggregated by default. The recogniser is pipecat's own
``WhisperSTTService`` on the same weights, with the same hint of names as ours. Its ``KokoroTTSService`` needs
``kokoro-onnx``, which makes whole sentences; here the same code as ours speaks in a worker thread, clause by clause,
so the voice begins as early as it does with us. Sound goes raw over FastAPI's WebSocket, which is less work than
protobuf.

``python benchmarks/pipecat_bot.py PORT``, with WHISPER_MODEL, KOKORO_FOLDER, KOKORO_VOICE, OPENAI_BASE_URL and
SYSTEM_PROMPT.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("PIPECAT_LOG_LEVEL", "WARNING")

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger

logger.remove()
logger.add(sys.stderr, level="WARNING")

from pipecat.audio.vad.silero import SileroVADAnalyzer  # noqa: E402 - after its logger is told to be quiet
from pipecat.frames.frames import (  # noqa: E402
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.pipeline.worker import PipelineParams, PipelineWorker  # noqa: E402
from pipecat.processors.aggregators.llm_context import LLMContext  # noqa: E402
from pipecat.processors.aggregators.llm_response_universal import (  # noqa: E402
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor  # noqa: E402
from pipecat.serializers.base_serializer import FrameSerializer  # noqa: E402
from pipecat.services.openai.llm import OpenAILLMService  # noqa: E402
from pipecat.services.settings import TTSSettings  # noqa: E402
from pipecat.services.tts_service import TTSService  # noqa: E402
from pipecat.services.whisper.stt import WhisperSTTService  # noqa: E402
from pipecat.transcriptions.language import Language  # noqa: E402
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport  # noqa: E402
from pipecat.workers.runner import WorkerRunner  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))

from tokenizers import Tokenizer  # noqa: E402

from app.engines.stt.whisper import Decode, _prompt  # noqa: E402
from app.engines.tts.kokoro import SAMPLE_RATE, load_kokoro  # noqa: E402
from app.taxi.key_terms import key_terms  # noqa: E402
from app.taxi.places import Gazetteer  # noqa: E402

RATE_IN = 16_000
THREADS = os.cpu_count() or 1


class RawSerializer(FrameSerializer):
    """Sound as it is; an interruption and what was understood as words."""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """See ``FrameSerializer``."""
        if isinstance(frame, OutputAudioRawFrame):
            return frame.audio
        return "interrupted" if isinstance(frame, InterruptionFrame) else None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """See ``FrameSerializer``."""
        if isinstance(data, bytes):
            return InputAudioRawFrame(audio=data, sample_rate=RATE_IN, num_channels=1)
        return None


class Kokoro(TTSService):
    """Our Kokoro, in a thread, each clause as soon as it is there."""

    def __init__(self, speak: Any, **options: Any) -> None:
        settings = TTSSettings(model="kokoro", voice=os.environ["KOKORO_VOICE"], language="es")
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=settings, **options)
        self._speak = speak

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """See ``TTSService``."""
        pieces: Iterator[bytes] = self._speak((text, "es"))

        async def sound() -> AsyncIterator[bytes]:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece

        async for frame in self._stream_audio_frames_from_iterator(
            sound(), in_sample_rate=SAMPLE_RATE, context_id=context_id
        ):
            yield frame


class Heard(FrameProcessor):
    """Tells the client what was understood."""

    def __init__(self, websocket: WebSocket) -> None:
        super().__init__()
        self._websocket = websocket

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See ``FrameProcessor``."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            await self._websocket.send_text(f"heard {frame.text}")
        await self.push_frame(frame, direction)


def names_to_expect() -> str:
    """Return what our Whisper is told before: the same words for both."""
    tokenizer = Tokenizer.from_file(str(Path(os.environ["WHISPER_MODEL"]) / "tokenizer.json"))
    terms = tuple(key_terms(Gazetteer.load()))
    return _prompt(Decode(b"", "es", terms), lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids))


app = FastAPI()
prompt = names_to_expect()
voice = load_kokoro(Path(os.environ["KOKORO_FOLDER"]), os.environ["KOKORO_VOICE"], 1.0, THREADS)


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that it is there."""
    return {"status": "healthy"}


@app.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    """Hold a conversation."""
    await websocket.accept()
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, add_wav_header=False, serializer=RawSerializer()
    )
    transport = FastAPIWebsocketTransport(websocket=websocket, params=params)
    stt = WhisperSTTService(
        device="cpu",
        compute_type="int8",
        settings=WhisperSTTService.Settings(
            model=os.environ["WHISPER_MODEL"],
            language=Language.ES,
            # Its default of 0.4 drops clear sentences with this model; the voice activity is the gate, as with us.
            no_speech_prob=1.1,
            initial_prompt=prompt,
        ),
    )
    llm = OpenAILLMService(
        api_key="none",
        base_url=os.environ["OPENAI_BASE_URL"],
        settings=OpenAILLMService.Settings(model="steady", system_instruction=os.environ.get("SYSTEM_PROMPT", "")),
    )
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    pipeline = Pipeline(
        [transport.input(), stt, Heard(websocket), user, llm, Kokoro(voice), transport.output(), assistant]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_in_sample_rate=RATE_IN, audio_out_sample_rate=SAMPLE_RATE),
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_disconnected")
    async def gone(_transport: object, _client: object) -> None:
        await runner.cancel()

    await runner.run()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")

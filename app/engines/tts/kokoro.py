"""Kokoro: a small neural voice with open weights (Apache-2.0), on this machine, in a process of its own.

What it reads are phonemes, which eSpeak NG makes in the same process. A sentence is made piece by piece, and each is
sent as soon as it is there.
"""

import json
import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from app.core.errors import TtsError
from app.engines.worker import WorkerPool

SAMPLE_RATE = 24_000

_SAME_SOUNDS = {"tʃ": "ʧ", "dʒ": "ʤ", "ts": "ʦ"}
"""Affricates are one letter in Kokoro's alphabet."""
_MAX_PHONEMES = 509
_MAX_THREADS = 2
"""More do not make it faster."""
_LOUD = 0.008
"""Of full scale; less at the ends of a piece is the model's own silence, which is cut."""
_LEAD_MS = 25
_TAIL_MS = 60
_PAUSES_MS = {",": 120, ";": 180, ":": 180, ".": 260, "!": 260, "?": 260, "…": 300}
"""Silence after a piece that ends so, if another one follows."""


class KokoroTts:
    """Speaks with Kokoro.

    Args:
        folder: Holds ``kokoro.onnx``, ``vocab.json`` and ``voices/``.
        voice: A file of ``voices/``, without ``.bin``.
        speed: 1 is the voice's own.
        timeout: Seconds without sound after which it failed.
    """

    name = "kokoro"
    sample_rate = SAMPLE_RATE

    def __init__(self, folder: Path, voice: str = "ef_dora", *, speed: float = 1.0, timeout: float = 10) -> None:
        threads = min(_MAX_THREADS, os.cpu_count() or 1)
        self.pool: WorkerPool[tuple[str, str], bytes] = WorkerPool(
            self.name, partial(load_kokoro, folder, voice, speed, threads), error=TtsError, timeout=timeout
        )

    async def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        """Yield the sound of a sentence, clause by clause.

        Raises:
            TtsError: It failed.
        """
        async with aclosing(self.pool.submit((text, language)).pieces()) as pieces:
            async for piece in pieces:
                yield piece


def load_kokoro(folder: Path, voice: str, speed: float, threads: int) -> Callable[[tuple[str, str]], Generator[bytes]]:
    """Load the model in a worker process, and return what speaks a text in a language with it.

    Args:
        folder: Holds ``kokoro.onnx``, ``vocab.json`` and ``voices/``.
        voice: A file of ``voices/``, without ``.bin``.
        speed: 1 is the voice's own.
        threads: Processor threads that it may use.
    """
    import numpy as np
    import onnxruntime  # type: ignore[import-untyped]

    from app.engines.tts.clauses import pieces
    from app.engines.tts.espeak_library import EspeakLibrary

    vocabulary: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    styles = np.fromfile(folder / "voices" / f"{voice}.bin", dtype="<f4").reshape(-1, 1, 256)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that wait in a busy loop between two operators would take the processor from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(folder / "kokoro.onnx", options, providers=["CPUExecutionProvider"])
    espeak = EspeakLibrary()

    def sound(piece: str) -> Any:
        phonemes = espeak.phonemes(piece)
        for several, one in _SAME_SOUNDS.items():
            phonemes = phonemes.replace(several, one)
        # Without a mark at its end a piece would sound as if it broke off.
        mark = next((character for character in reversed(piece[-3:]) if character in _PAUSES_MS), ",")
        ids = [vocabulary[character] for character in phonemes if character in vocabulary][: _MAX_PHONEMES - 1]
        if not ids:
            return np.zeros(0, dtype=np.float32)
        ids.append(vocabulary[mark])
        [made] = session.run(
            None,
            {
                "tokens": np.array([[0, *ids, 0]], dtype=np.int64),
                "style": styles[len(ids)],
                "speed": np.array([speed], dtype=np.float32),
            },
        )
        return made.ravel()

    def speak(request: tuple[str, str]) -> Generator[bytes]:
        text, language = request
        espeak.use(language)
        pause_ms = 0
        for piece in pieces(text):
            made = sound(piece)
            loud = np.nonzero(np.abs(made) > _LOUD)[0]
            if not loud.size:
                continue
            start = max(0, loud[0] - _LEAD_MS * SAMPLE_RATE // 1000)
            heard = made[start : loud[-1] + _TAIL_MS * SAMPLE_RATE // 1000]
            silence = np.zeros(pause_ms * SAMPLE_RATE // 1000, dtype=np.float32)
            samples = np.clip(np.concatenate([silence, heard]), -1, 1) * 32767
            yield samples.astype("<i2").tobytes()
            pause_ms = _PAUSES_MS.get(piece[-1], 0)

    for _ in speak(("Hola, buenas.", "es")):  # the first run takes longer than any other
        pass
    return speak

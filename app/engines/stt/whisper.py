"""Whisper by faster-whisper, on this machine, in processes of its own.

It understands an utterance as a whole, so nothing is known before it is over. What it costs grows with the window
that it looks at, thirty seconds as it was trained: here the window is only as long as the utterance and a little
silence, which takes a quarter of the time for the same words.

Numbers come in words, for no token with a figure in it may be chosen. Left to itself the model joins what was said
apart and parts what was said together: «cincuenta y cinco veintiuno» becomes «50 y 521». In words it is heard right,
and whoever reads addresses knows better where one number ends.

A pause may be the end, so it is decoded at once; where it was the end, the transcript is there when that is decided.
"""

import os
import re
import unicodedata
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio

from app.core.errors import SttError
from app.engines.stt.base import Recognition, SpeechHints, SttSession
from app.engines.worker import Call, WorkerPool
from app.models.audio import HEARING_RATE, bytes_of

FINAL, AHEAD, PARTIAL = range(3)
"""How urgent a decode is."""

_PARTIAL_EVERY_MS = 1000
"""New speech after which a transcript in between is worth its time."""
_PARTIAL_UNTIL_MS = 25_000
"""Longer speech takes several windows: too much for what is thrown away."""


@dataclass(frozen=True, slots=True)
class Decode:
    """What a worker is asked."""

    audio: bytes
    """Mono ``pcm_s16le`` at ``HEARING_RATE``."""
    language: str
    terms: tuple[str, ...]
    beam: int = 5


class WhisperStt:
    """Speech to text with Whisper; all sessions share its workers.

    Args:
        model: A folder with a CTranslate2 model, or the name of one that is fetched from its hub.
        workers: Processes, and with it utterances that are decoded at once.
        timeout: Seconds that a transcript may take.
    """

    name = "whisper"

    def __init__(self, model: str, *, workers: int = 1, timeout: float = 10) -> None:
        threads = max(1, min(4, (os.cpu_count() or 1) // workers))
        self.pool: WorkerPool[Decode, str] = WorkerPool(
            self.name,
            partial(load_whisper, model, threads),
            error=SttError,
            processes=workers,
            timeout=timeout,
            load_timeout=600,
        )

    @asynccontextmanager
    async def open(self, hints: SpeechHints) -> AsyncIterator[SttSession]:
        """Open a session: hints for all its utterances."""
        yield _Session(self.pool, hints)


class _Session:
    def __init__(self, pool: WorkerPool[Decode, str], hints: SpeechHints) -> None:
        self._pool = pool
        self._blank = Decode(audio=b"", language=hints.language, terms=tuple(hints.terms))

    @asynccontextmanager
    async def recognise(self) -> AsyncIterator[Recognition]:
        utterance = _Utterance(self._pool, self._blank)
        try:
            yield utterance
        finally:
            utterance.forget()


class _Transcript:
    """What a decode comes to. Who shows it and who needs it in the end may both wait for it."""

    def __init__(self, call: Call[Decode, str]) -> None:
        self._call = call
        self._reading = anyio.Lock()
        self._outcome: str | SttError | None = None

    async def text(self) -> str | None:
        """Return the text; None where the decode was given up.

        Raises:
            SttError: It failed.
        """
        async with self._reading:
            if self._outcome is None:
                try:
                    self._outcome = await self._call.last()
                except SttError as error:
                    self._outcome = error
        if isinstance(self._outcome, SttError):
            raise self._outcome
        return self._outcome

    def hurry(self) -> None:
        """Somebody cannot go on without it."""
        self._call.urgency = FINAL

    def abandon(self) -> None:
        """Give it up."""
        self._call.abandon()


class _Utterance:
    """One utterance; what was decoded of it is worth keeping for as long as nothing was said since."""

    def __init__(self, pool: WorkerPool[Decode, str], blank: Decode) -> None:
        self._pool = pool
        self._blank = blank
        self._audio = bytearray()
        self._ahead: _Transcript | None = None
        """Of all that was said, where a pause may be the end."""
        self._partial: _Transcript | None = None
        """Of what was said until some moment."""
        self._decoded_bytes = 0
        self._is_over = False
        self._changed = anyio.Event()

    def feed(self, audio: bytes) -> None:
        self._audio += audio
        if self._ahead is not None:  # it was not the end; what was understood so far is still worth showing
            self._partial, self._ahead = self._ahead, None
        self._changed.set()

    def pause(self) -> None:
        if self._ahead is None and self._audio and not self._is_over:
            if self._partial is not None:  # all of it is in the one that begins now
                self._partial.abandon()
                self._partial = None
            self._ahead = self._submit(AHEAD)
            self._changed.set()

    async def partials(self) -> AsyncIterator[str]:
        shown = ""
        asked: _Transcript | None = None
        while not self._is_over:
            if self._partial is asked:
                self._partial = None
            if self._partial is None and self._ahead is None and self._is_worth_a_partial:
                self._partial = self._submit(PARTIAL)
            newest = self._ahead or self._partial
            if newest is None or newest is asked:
                self._changed = anyio.Event()
                await self._changed.wait()
                continue
            asked = newest
            text = await newest.text()
            if text and text != shown and not self._is_over:
                yield text
                shown = text

    async def finish(self) -> str:
        transcript = self._ahead or self._submit(FINAL)
        transcript.hurry()
        self._ahead = None
        self.forget()
        try:
            text = await transcript.text()
            return await self._again() if text is None else text
        finally:
            transcript.abandon()

    def forget(self) -> None:
        """End the utterance: nothing is decoded for it any more."""
        self._is_over = True
        for transcript in (self._ahead, self._partial):
            if transcript is not None:
                transcript.abandon()
        self._changed.set()

    async def _again(self) -> str:
        """Return the text, where whoever waited for it before has gone and taken it along."""
        transcript = self._submit(FINAL)
        try:
            return await transcript.text() or ""
        finally:
            transcript.abandon()

    @property
    def _is_worth_a_partial(self) -> bool:
        """Whether enough is new, and a worker has nothing else to do."""
        new = len(self._audio) - self._decoded_bytes
        is_short = len(self._audio) <= bytes_of(_PARTIAL_UNTIL_MS, HEARING_RATE)
        return new >= bytes_of(_PARTIAL_EVERY_MS, HEARING_RATE) and is_short and self._pool.is_idle

    def _submit(self, urgency: int) -> _Transcript:
        self._decoded_bytes = len(self._audio)
        beam = 1 if urgency == PARTIAL else self._blank.beam
        request = replace(self._blank, audio=bytes(self._audio), beam=beam)
        return _Transcript(self._pool.submit(request, urgency=urgency))


# In the worker.

_FRAMES_PER_SECOND = 100
_WINDOW_FRAMES = 3000
"""What the model was trained on."""
_SILENCE_FRAMES = 200
"""Added after the sound: without silence at its end the model makes up how it goes on."""
_LEAST_FRAMES = 900
"""In a shorter window it does not know single words any more."""
_LEAD_MS = 300
"""Silence put before the sound: a word that begins at once is often misheard."""
_MANNERS = {"es": "Sí, por favor. No, gracias. Sí, claro. Eso es todo."}
"""How people talk, by language: after whole sentences the model writes such, after a list it goes on with the list."""
_PROMPT_TOKENS = 180
"""What of the names the model is given; it takes 224 with what it needs itself."""
_MAX_TOKENS = 224
_SPARE_TOKENS, _TOKENS_PER_SECOND = 20, 10
"""An answer may be so long: the riders of our measurements say four to seven tokens in a second, and a model that turns
in a circle goes on to the end, which takes seconds."""
_NEW_TOKENS = 4
"""Heard again after a circle it may not write so many tokens twice. Always held to that it would spoil what was said
twice, as «cuarenta y cinco, cuarenta y cinco»; of 4, 5 and penalties for each token it was 4 that got addresses right.
"""
_LOUD = 0.002
"""Of full scale, the mean of the loudest tenth of a second; where all is fainter nobody spoke."""

_UNSURE_LOGPROB, _UNSURE_NO_SPEECH = -0.7, 0.4
"""Both together are noise. Each alone is also found in clear speech."""
_ECHO_LOGPROB, _ECHO_NO_SPEECH = -0.6, 0.25
"""Both together, of words that the prompt has: they are the prompt's. 35 noises come out so at -0.74 at most, its words
said aloud at -0.54 at least."""
_SHORT_ANSWERS = frozenset(["si", "no"])
"""Said alone so often that they are no echo, although the prompt has them: no noise that we know comes out so."""
_NONSENSE_LOGPROB = -1.7
_MAX_COMPRESSION = 2.4
"""Text that compresses better than this repeats itself: the model has lost its way."""
_LEAST_COMPRESSED = 40
"""Bytes of text; compression of less says nothing."""
_LEAST_PHRASE = 4
"""Words: nobody says so many and then the same again, where even a number of a street may come twice."""
_FIGURES = re.compile(r"[\d#$%€£°ºª]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_PHANTOMS = re.compile(
    r"(subtitulos|subtitulado|subtitles) .*|.*amara org.*|(muchas )?gracias por (ver|mirar)\b.*|suscribete.*"
    r"|(hasta|nos vemos en) el proximo video.*|thanks for watching.*|www .*|musica|aplausos|risas"
)
"""What stands under the videos that the model learnt from; it writes this where it hears nothing."""


def load_whisper(model: str, threads: int) -> Callable[[Decode], Generator[str]]:
    """Load a model in a worker process, and return what gives the transcript of an utterance.

    Args:
        model: A folder, or a name.
        threads: Processor threads that it may use.
    """
    import numpy as np
    from faster_whisper import WhisperModel  # type: ignore[import-untyped]
    from faster_whisper.tokenizer import Tokenizer  # type: ignore[import-untyped]
    from faster_whisper.transcribe import get_suppressed_tokens  # type: ignore[import-untyped]

    whisper = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=threads)
    words = whisper.hf_tokenizer
    figures = [token for token in range(words.token_to_id("<|endoftext|>")) if _FIGURES.search(words.decode([token]))]

    def guess(samples: Any, call: Decode) -> Iterator[_Guess | None]:
        tokenizer = Tokenizer(whisper.hf_tokenizer, whisper.model.is_multilingual, "transcribe", call.language)
        prompt = _prompt(call, lambda text: len(tokenizer.encode(text)))
        tokens = tokenizer.encode(f" {prompt}") if prompt else []
        features = whisper.feature_extractor(samples)
        frames = max(_LEAST_FRAMES, features.shape[-1] + _SILENCE_FRAMES)
        if frames > _WINDOW_FRAMES:
            segments, _ = whisper.transcribe(
                samples,
                language=call.language,
                beam_size=call.beam,
                temperature=0.0,
                condition_on_previous_text=False,
                initial_prompt=prompt or None,
                suppress_tokens=[-1, *figures],
                no_speech_threshold=None,
                log_prob_threshold=None,
            )
            for segment in segments:
                yield _Guess(once(segment.text), segment.avg_logprob, segment.no_speech_prob, prompt)
            return
        window = np.pad(features, [(0, 0), (0, frames - features.shape[-1])])
        seconds = features.shape[-1] // _FRAMES_PER_SECOND + 1
        encoded = whisper.encode(window)
        yield None

        before = whisper.get_prompt(tokenizer, tokens, without_timestamps=True)
        room = min(_MAX_TOKENS, _SPARE_TOKENS + _TOKENS_PER_SECOND * seconds)

        def attempt(**limits: int) -> _Guess:
            [result] = whisper.model.generate(
                encoded,
                [before],
                beam_size=call.beam,
                max_length=max(room + len(before), 2 * room),  # whichever of the two it keeps to gives it this room
                return_scores=True,
                return_no_speech_prob=True,
                suppress_blank=True,
                suppress_tokens=get_suppressed_tokens(tokenizer, [-1, *figures]),
                **limits,
            )
            heard = result.sequences_ids[0]
            logprob = result.scores[0] * len(heard) / (len(heard) + 1)
            written = tokenizer.decode(heard)
            text = once(written)
            has_end = len(heard) < room or text != written  # a phrase again and again has its end: the first one's
            return _Guess(text, logprob, result.no_speech_prob, prompt, has_end=has_end)

        first = attempt()
        if first.turns_in_a_circle and first.no_speech < _UNSURE_NO_SPEECH:
            yield attempt(no_repeat_ngram_size=_NEW_TOKENS)
        else:
            yield first

    def transcribe(call: Decode) -> Generator[str]:
        samples = np.frombuffer(call.audio, dtype="<i2").astype(np.float32) / 32768
        tenth = HEARING_RATE // 10
        tenths = np.square(samples[: len(samples) // tenth * tenth]).reshape(-1, tenth).mean(axis=1)
        if not tenths.size or np.sqrt(tenths.max()) < _LOUD:
            yield ""
            return
        samples = np.concatenate([np.zeros(HEARING_RATE * _LEAD_MS // 1000, dtype=np.float32), samples])
        said: list[str] = []
        for guessed in guess(samples, call):
            if guessed is not None:
                said.append(believed(guessed))
            yield " ".join(filter(None, said))  # a moment to stop, where nobody wants it any more

    for _ in transcribe(Decode(bytes(np.full(HEARING_RATE, 1000, dtype="<i2")), "es", ())):
        pass  # the first run takes longer than any other
    return transcribe


@dataclass(frozen=True, slots=True)
class _Guess:
    """What the model heard, and what it thinks of it."""

    text: str
    logprob: float
    """Mean of its tokens: 0 is certain."""
    no_speech: float
    """How likely it holds that nobody spoke."""
    prompt: str
    """What it was told before."""
    has_end: bool = True
    """Whether it is known where the text ends: the model came to it before it had no room left."""

    @property
    def turns_in_a_circle(self) -> bool:
        """Whether it should be heard again: «doscientoscientos…», or «Calle-a-a-a-a…» until there was no room left."""
        return self.repeats_itself or not self.has_end

    @property
    def repeats_itself(self) -> bool:
        """Whether the model has lost its way and says the same again and again."""
        encoded = self.text.strip().encode()
        return len(encoded) > _LEAST_COMPRESSED and len(encoded) / len(zlib.compress(encoded)) > _MAX_COMPRESSION


def believed(guess: _Guess) -> str:
    """Return what of a guess somebody is likely to have said; empty where it is noise or made up."""
    text = guess.text.strip()
    if guess.logprob < _NONSENSE_LOGPROB:
        return ""
    if guess.logprob < _UNSURE_LOGPROB and guess.no_speech > _UNSURE_NO_SPEECH:
        return ""
    is_unsure = guess.logprob < _ECHO_LOGPROB and guess.no_speech > _ECHO_NO_SPEECH
    if is_unsure and _plain(text) not in _SHORT_ANSWERS and _plain(text) in _plain(guess.prompt):
        return ""
    if guess.repeats_itself:
        return ""
    return " ".join(sentence for sentence in _SENTENCE_END.split(text) if not _is_phantom(sentence))


def once(text: str) -> str:
    """Return a phrase that is all there is, written again and again, a single time; any other text as it is.

    The model does that with whole addresses, until it has no room left; the last time may be cut.
    """
    words = text.split()
    said = [_plain(word) for word in words]
    for length in range(_LEAST_PHRASE, len(words) // 2 + 1):
        again = [said[place % length] for place in range(len(said))]
        if said[:-1] == again[:-1] and again[-1].startswith(said[-1]):
            return " ".join(words[:length]).rstrip(",;")
    return text


def _is_phantom(sentence: str) -> bool:
    said = _plain(sentence)
    return not said or _PHANTOMS.fullmatch(said) is not None


def _plain(text: str) -> str:
    """Return the words without case, accents and punctuation."""
    ascii_only = unicodedata.normalize("NFD", text.casefold()).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z0-9]+", ascii_only))


def _prompt(call: Decode, count_tokens: Callable[[str], int]) -> str:
    """Return what the model is told before: how people talk, and as many names as it takes, the first ones.

    None with figures: it may write none.
    """
    names: list[str] = []
    room = _PROMPT_TOKENS
    for term in call.terms:
        if _FIGURES.search(term):
            continue
        room -= count_tokens(f" {term},")
        if room < 0:
            break
        names.append(term)
    manners = _MANNERS.get(call.language, "")
    return f"{manners} {', '.join(names)}.".strip() if names else manners

"""``/ws`` as the voice-sandwich demo's web client uses it: a call is a microphone, a thread, and sound in time."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import anyio
import anyio.lowlevel
import jwt
import pytest
from fastapi import FastAPI

from app.api.dialects.pacing import LEAD_SECONDS
from app.bootstrap.voice import Voice
from app.core.clock import now_ms
from app.main import create_app
from app.models.audio import SPEAKING_RATE, bytes_of
from app.models.events import EventSource, Interrupted, SttOutput, TtsChunk, TtsEnd, TurnEnd, TurnEvent, TurnStart
from app.services.voice import VoiceSession
from tests.asgi import Dial, dialling
from tests.desk import Desk, make_settings, open_desk
from tests.fakes import Broken, FakeStt, FakeTts, FaultyModel, loud, quiet
from tests.sandwich import FRAME_BYTES, QUIET_SECONDS, Page
from tests.voice import make_voice

pytestmark = pytest.mark.integration

SECRET = "a secret that is long enough for HS256"


class Caller:
    """The demo's page on a socket."""

    def __init__(self, dial: Dial) -> None:
        self.dial = dial
        self.page = Page(now=lambda: anyio.current_time() + self._passed)
        self._passed = 0.0
        self.furthest_ahead = 0.0
        self._taken = 0

    def say(self) -> None:
        """Say something, in frames as the page sends them."""
        self.sound(loud(500) + quiet(2000))

    def sound(self, pcm: bytes) -> None:
        """Make a sound, in frames as the page sends them."""
        for at in range(0, len(pcm), FRAME_BYTES):
            self.dial.send(pcm[at : at + FRAME_BYTES])

    async def until(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the frames of a type, once there are so many."""
        while True:
            self._take()
            found = [frame for frame in self.page.frames if frame["type"] == kind]
            if len(found) >= count:
                return found
            assert not self.dial.ended.is_set(), self.page.types()
            await self.dial.progress()

    def pause(self) -> None:
        """Let a moment pass on the page, as it does before somebody speaks again."""
        self._passed += 2 * QUIET_SECONDS
        self.page.tick()

    async def answer(self, number: int = 1) -> None:
        """Wait until an answer is over."""
        await self.until("agent_end", number)

    async def closed(self) -> int | None:
        """Wait until the server has closed; return its code."""
        await self.dial.ended.wait()
        self._take()
        return self.dial.closed_with

    def _take(self) -> None:
        new, self._taken = self.dial.frames[self._taken :], len(self.dial.frames)
        for frame in new:
            assert isinstance(frame, str), "the page parses every frame as JSON"
            self.page.take(frame)
            self.furthest_ahead = max(self.furthest_ahead, self.page.ahead)


class Exchange:
    """The application over a desk, its hearing, and who calls it."""

    def __init__(self, app: FastAPI, desk: Desk, stt: FakeStt) -> None:
        self.app = app
        self.desk = desk
        self.stt = stt

    @asynccontextmanager
    async def call(self, **headers: str) -> AsyncIterator[Caller]:
        async with dialling(self.app, "/ws", headers) as dial:
            yield Caller(dial)

    async def threads(self) -> list[str]:
        """Return the threads that were opened, the oldest first."""
        return list(self.desk.stores.conversations._conversations)  # type: ignore[attr-defined]


@asynccontextmanager
async def exchange(*texts: str, tts: FakeTts | None = None, **options: Any) -> AsyncIterator[Exchange]:
    """Open the application in this process, with ears that hear these texts one after the other."""
    stt = options.pop("stt", None) or FakeStt(texts)
    voice = options.pop("voice", None) or make_voice(stt, tts)
    model = options.pop("model", None)
    chosen = {"jwt_secret": SECRET, **options}
    async with open_desk(model=model, voice=voice, **chosen) as desk:
        app = create_app(make_settings(**chosen))
        app.state.services = desk.services
        yield Exchange(app, desk, stt)


# Words.


async def test_a_conversation_by_voice_is_on_the_page_turn_by_turn() -> None:
    async with exchange("Necesito un taxi", "Calle 72 con 43") as here, here.call() as caller:
        caller.say()
        await caller.answer(1)
        first = caller.page.types()
        caller.pause()
        caller.say()
        await caller.answer(2)
        shown = caller.page

    assert [kind for kind, _ in groupby(first)][:2] == ["stt_chunk", "stt_output"]
    assert first[-1] == "agent_end"
    assert first.count("agent_end") == 1
    assert "agent_chunk" in first
    assert shown.shown("stt") == ["Necesito un taxi", "Calle 72 con 43"]
    assert len(shown.shown("agent")) == 2
    assert any("ValidateAddress" in line for line in shown.shown("tool"))


async def test_all_sound_is_heard_from_the_first_frame_on() -> None:
    async with exchange("Hola") as here, here.call() as caller:
        caller.say()
        await caller.answer()
        [recognition] = here.stt.recognitions

    assert loud(500) in recognition.audio


@pytest.mark.parametrize("fault", [{"fail": {0}}, {"crash": {0}}], ids=["fails", "crashes"])
async def test_what_was_not_understood_is_said_so_and_the_next_thing_is(fault: dict[str, set[int]]) -> None:
    stt = FakeStt(["", "Hola"], **fault)  # type: ignore[arg-type]
    async with exchange(stt=stt) as here, here.call() as caller:
        caller.say()
        [error] = await caller.until("error")
        caller.say()
        await caller.answer()

    assert error["code"] == "stt_failed"
    assert caller.page.shown("stt") == ["Hola"]


async def test_a_turn_that_fails_says_why_and_ends_once() -> None:
    async with (
        exchange("Hola", model=FaultyModel(function=lambda messages, tools: None, faults={0: "raise"})) as here,
        here.call() as caller,
    ):
        caller.say()
        await caller.answer()

    assert [frame["type"] for frame in caller.page.frames][-1] == "agent_end"
    assert caller.page.types().count("agent_end") == 1
    assert caller.page.types().count("error") == 1


# Bad input.


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x00\x01\x02", "invalid_audio"),
        (b"\x00", "invalid_audio"),
        ("not json", "invalid_message"),
        ("", "invalid_message"),
        ("[" * 100_000, "invalid_message"),
        ('{"type": "user_input", "text": "Hola"}', "invalid_message"),
        ("\ud800", "invalid_message"),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_bad_frame_is_answered_with_its_code_and_the_conversation_goes_on(
    frame: str | bytes, code: str
) -> None:
    async with exchange("Hola") as here, here.call() as caller:
        caller.dial.send(frame)
        [error] = await caller.until("error")
        caller.say()
        await caller.answer()

    assert (error["type"], error["code"]) == ("error", code)
    assert caller.page.shown("stt") == ["Hola"]
    assert caller.dial.closed_with is None


@pytest.mark.parametrize("frame", [bytes(2**20 + 2), "x" * (2**20 + 1)], ids=["sound", "text"])
async def test_a_huge_frame_closes_with_1009(frame: str | bytes) -> None:
    async with exchange() as here, here.call() as caller:
        caller.dial.send(frame)

        assert await caller.closed() == 1009


async def test_a_page_of_somebody_else_is_not_let_in() -> None:
    async with exchange() as here, here.call(origin="https://elsewhere.example") as caller:
        await caller.dial.ended.wait()

    assert not caller.dial.is_accepted
    assert here.desk.services.voice.sessions == 0


async def test_a_page_of_this_machine_is_let_in_from_another_port() -> None:
    async with exchange("Hola") as here, here.call(origin="http://localhost:5173") as caller:
        caller.say()
        await caller.answer()

    assert caller.dial.is_accepted


async def test_one_client_more_than_there_may_be_is_refused_with_503() -> None:
    async with exchange(max_connections=1) as here, here.call() as first:
        first.dial.send("now")
        await first.until("error")
        async with here.call() as second:
            await second.dial.ended.wait()

    assert second.dial.refused_with == 503


async def test_one_microphone_more_than_there_may_be_is_told_so_and_closed() -> None:
    async with exchange(voice_sessions=1) as here, here.call() as first:
        first.dial.send("now")
        await first.until("error")
        async with here.call() as second:
            assert await second.closed() == 1013

    assert [frame["code"] for frame in second.page.frames] == ["too_many_microphones"]


async def test_a_server_that_does_not_hear_says_so_and_closes() -> None:
    async with exchange(voice=Voice()) as here, here.call() as caller:
        assert await caller.closed() == 1013

    assert [frame["code"] for frame in caller.page.frames] == ["invalid_audio"]


async def test_an_engine_that_cannot_be_reached_is_told_with_every_utterance() -> None:
    async with exchange(stt=FakeStt(is_unreachable=True)) as here, here.call() as caller:
        caller.say()
        [error] = await caller.until("error")
        caller.say()
        await caller.until("error", 2)

    assert error["code"] == "stt_failed"


async def test_a_microphone_that_breaks_is_told_and_closed_with_the_next_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(session: VoiceSession) -> None:
        raise Broken

    monkeypatch.setattr(VoiceSession, "listen", break_down)
    async with exchange() as here, here.call() as caller:
        [error] = await caller.until("error")
        caller.say()

        assert await caller.closed() == 1013

    assert error["code"] == "stt_failed"


# Who calls.


def bearer(account: str = "ana", **changes: Any) -> str:
    said = {"iss": "voztaxi", "aud": "voztaxi", "sub": account, "exp": 4_000_000_000} | changes
    return f"Bearer {jwt.encode(said, SECRET, algorithm='HS256')}"


async def test_where_riders_must_log_in_a_page_that_cannot_is_closed_with_4401() -> None:
    async with exchange(auth_required=True) as here, here.call() as caller:
        assert await caller.closed() == 4401

    assert [frame["code"] for frame in caller.page.frames] == ["not_authenticated"]
    assert here.desk.services.voice.sessions == 0


async def test_a_proxy_may_say_who_calls() -> None:
    async with exchange("Hola", auth_required=True) as here, here.call(authorization=bearer()) as caller:
        caller.say()
        await caller.answer()
        [thread_id] = await here.threads()
        conversation = await here.desk.stores.conversations.get(thread_id)

    assert conversation is not None
    assert conversation.owner == "ana"


async def test_a_token_that_is_not_good_is_refused_where_none_is_needed() -> None:
    async with exchange() as here, here.call(authorization=bearer(exp=1)) as caller:
        assert await caller.closed() == 4401


# Connections.


async def test_two_callers_have_a_conversation_each() -> None:
    async with exchange("Hola", "Necesito un taxi") as here, here.call() as ana, here.call() as luis:
        ana.say()
        await ana.answer()
        luis.say()
        await luis.answer()
        threads = await here.threads()

    assert len(threads) == 2
    assert ana.page.shown("stt") == ["Hola"]
    assert luis.page.shown("stt") == ["Necesito un taxi"]


async def test_who_calls_again_begins_anew() -> None:
    async with exchange("Hola", "Hola") as here:
        for _ in range(2):
            async with here.call() as caller:
                caller.say()
                await caller.answer()
        threads = await here.threads()

    assert len(threads) == 2


async def test_what_was_being_said_when_the_page_was_closed_becomes_a_turn() -> None:
    async with exchange("Necesito un taxi") as here:
        async with here.call() as caller:
            caller.sound(loud(700))
            await caller.until("stt_chunk")
        while not await here.threads():
            await anyio.lowlevel.checkpoint()
        [thread_id] = await here.threads()
        async with here.desk.services.streaming.subscribe(thread_id, after_seq=0) as reader:
            events: list[Any] = []
            while not any(isinstance(event, TurnEnd) for event in events):
                events += [record.event for record in await reader.read()]

    assert [event.text for event in events if isinstance(event, SttOutput)] == ["Necesito un taxi"]
    assert here.desk.services.connections.active == 0
    assert here.desk.services.voice.sessions == 0


async def test_when_the_server_stops_the_socket_is_closed_with_1012() -> None:
    async with exchange("Hola") as here, here.call() as caller:
        caller.say()
        await caller.answer()
        here.desk.services.connections.restart.set()

        assert await caller.closed() == 1012


# Sound.


class Studio:
    """Plays the agent on a caller's thread: what is logged and what is heard, at the test's word."""

    def __init__(self, here: Exchange, turn_id: str = "u") -> None:
        self._desk = here.desk
        self._source = EventSource("studio", turn_id, now_ms)

    async def log(self, kind: type[TurnEvent], **fields: Any) -> None:
        await self._desk.stores.event_log.append("studio", [self._source.make(kind, **fields)])

    def air(self, kind: type[TurnEvent], **fields: Any) -> None:
        self._desk.services.streaming._airwaves.publish(self._source.make(kind, **fields), 2)

    def speak(self, pcm: bytes, offset_ms: int = 0) -> None:
        audio = base64.b64encode(pcm).decode()
        self.air(TtsChunk, audio=audio, sample_rate=SPEAKING_RATE, offset_ms=offset_ms)

    async def begin(self) -> None:
        await self.log(SttOutput, text="Hola")
        await self.log(TurnStart, epoch="e")


def speech(milliseconds: int) -> bytes:
    """Return sound no sample of which is like its neighbours."""
    count = bytes_of(milliseconds, SPEAKING_RATE) // 2
    return b"".join((n % 30_000).to_bytes(2, "little") for n in range(count))


@asynccontextmanager
async def in_studio(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Caller, Studio]]:
    async with exchange() as here:
        monkeypatch.setattr(here.desk.services.streaming, "new_thread_id", lambda: "studio")
        async with here.call() as caller:
            caller.dial.send("now")
            await caller.until("error")
            yield caller, Studio(here)


async def test_sound_is_sent_whole_and_hardly_sooner_than_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    async with in_studio(monkeypatch) as (caller, studio):
        studio.speak(speech(600))  # before the log has what comes before it
        await studio.begin()
        await studio.log(TtsEnd)
        await studio.log(TurnEnd, status="completed", text="")
        await caller.answer()

    assert caller.page.sound == speech(600)
    assert caller.page.types()[1:4] == ["stt_chunk", "stt_output", "tts_chunk"]
    assert caller.page.types()[-1] == "agent_end"
    assert caller.furthest_ahead <= LEAD_SECONDS + 0.05


async def test_an_interruption_stops_the_sound_and_the_end_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with in_studio(monkeypatch) as (caller, studio):
        await studio.begin()
        studio.speak(speech(60_000))
        await caller.until("tts_chunk", 3)
        studio.air(Interrupted, offset_ms=0)
        await studio.log(TurnEnd, status="interrupted", text="")
        await caller.answer()
        studio.air(Interrupted, offset_ms=0)

    heard = len(caller.page.sound)
    assert speech(60_000)[:heard] == caller.page.sound
    assert heard < len(speech(1000))
    assert caller.page.types()[-1] == "agent_end"


async def test_after_a_false_alarm_the_speech_goes_on_and_nothing_is_heard_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = speech(500)
    async with in_studio(monkeypatch) as (caller, studio):
        await studio.begin()
        studio.speak(whole)
        await caller.until("tts_chunk", 2)
        studio.air(Interrupted, offset_ms=40)
        studio.speak(whole[bytes_of(40, SPEAKING_RATE) :], 40)
        await studio.log(TurnEnd, status="completed", text="")
        await caller.answer()

    assert caller.page.sound == whole


async def test_words_do_not_wait_for_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    async with in_studio(monkeypatch) as (caller, studio):
        await studio.begin()
        studio.speak(speech(60_000))
        await caller.until("tts_chunk")
        await studio.log(SttOutput, text="Otra cosa")
        await caller.until("stt_output", 2)

    assert len(caller.page.sound) < len(speech(1000))


# Both.


def spoken(tts: FakeTts) -> bytes:
    """Return the sound of all that a voice has said."""
    return b"".join(tts.sound(text) for text in tts.spoken)


async def test_a_spoken_conversation_is_heard_whole_and_timed_on_the_page() -> None:
    tts = FakeTts(ms_per_character=10)
    async with exchange("Necesito un taxi", "Calle 72 con 43", tts=tts) as here, here.call() as caller:
        for number in (1, 2):
            caller.say()
            await caller.answer(number)
            caller.pause()

    assert caller.page.sound == spoken(tts)
    assert caller.page.shown("stt") == ["Necesito un taxi", "Calle 72 con 43"]
    assert len(caller.page.shown("agent")) == 2
    assert len(caller.page.latencies) == 2
    assert caller.furthest_ahead <= LEAD_SECONDS + 0.05
    assert caller.page.types()[-1] == "agent_end"


async def test_who_interrupts_hears_no_more_of_the_answer_than_the_page_already_had() -> None:
    tts = FakeTts(ms_per_character=500)
    async with exchange("Necesito un taxi", "No, gracias", tts=tts) as here, here.call() as caller:
        caller.say()
        await caller.until("tts_chunk", 4)
        heard_before = len(caller.page.sound)
        caller.say()
        await caller.answer()
        heard = len(caller.page.sound)
        await caller.until("stt_output", 2)
        [thread_id] = await here.threads()
        [_, answer, *_] = await here.desk.stores.conversations.messages(thread_id)

    assert heard <= heard_before + bytes_of(1000 * LEAD_SECONDS, SPEAKING_RATE)
    assert caller.page.shown("stt") == ["Necesito un taxi", "No, gracias"]
    assert len(answer.content) < len(tts.spoken[0])


async def test_whoever_only_listens_hears_the_answer_to_its_end_and_nothing_twice() -> None:
    tts = FakeTts(ms_per_character=40)
    async with exchange("Necesito un taxi", "ajá", tts=tts) as here, here.call() as caller:
        caller.say()
        await caller.until("tts_chunk", 4)
        caller.say()
        await caller.answer()

    assert caller.page.sound == spoken(tts)
    assert caller.page.shown("stt") == ["Necesito un taxi"]


async def test_an_answer_that_cannot_be_spoken_can_be_read() -> None:
    async with exchange("Hola", tts=FakeTts(fails_after=0)) as here, here.call() as caller:
        caller.say()
        await caller.answer()

    assert len(caller.page.shown("agent")) == 1
    assert caller.page.sound == b""

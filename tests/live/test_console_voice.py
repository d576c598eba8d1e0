"""The console's voice in a real browser: what its microphone sends, what its loudspeaker plays, what it tells."""

import base64
import os
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio
import soxr
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, expect

from app.models.audio import HEARING_RATE, SPEAKING_RATE
from tests.live.browser import chromium
from tests.live.server import ROOT
from tests.live.voice_line import PCM, VoiceLine, voice_line

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

Samples = NDArray[np.float64]
SHOTS = os.environ.get("CONSOLE_SHOTS")
"""A folder for screenshots to look at."""
WAV_RATE = 48_000

TAP = """
() => {
  // Records all that any context plays or is given by a microphone, with the time of each sample, and when an
  // interruption came.
  const connect = AudioNode.prototype.connect;
  const recorder = () => {
    registerProcessor('recorder', class extends AudioWorkletProcessor {
      process([[heard]]) { if (heard) this.port.postMessage([currentFrame, heard.slice()]); return true; }
    });
  };
  window.tap = { played: [], heard: [], interrupted: null, asked: [] };
  window.AudioContext = class extends AudioContext {
    constructor(...options) {
      super(...options);
      const url = URL.createObjectURL(new Blob([`(${recorder})()`], { type: 'text/javascript' }));
      window.tap.context = this;
      const added = this.audioWorklet.addModule(url);
      const record = blocks => added.then(() => {
        const node = new AudioWorkletNode(this, 'recorder');
        node.port.onmessage = ({ data }) => blocks.push(data);
        connect.call(node, this.destination);
        return node;
      });
      this.recorders = { played: record(window.tap.played), heard: record(window.tap.heard) };
    }
  };
  AudioNode.prototype.connect = function (to, ...rest) {
    const { played, heard } = this.context.recorders;
    if (to instanceof AudioDestinationNode) played.then(node => connect.call(this, node));
    if (this instanceof MediaStreamAudioSourceNode) heard.then(node => connect.call(this, node));
    return connect.call(this, to, ...rest);
  };
  window.WebSocket = class extends WebSocket {
    constructor(...where) {
      super(...where);
      this.addEventListener('message', ({ data }) => {
        if (JSON.parse(data).type === 'interrupted') window.tap.interrupted = window.tap.context.currentTime;
      });
    }
  };
  // What the browser makes of a voice is not what is measured here.
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = wanted => {
    window.tap.asked.push(wanted.audio);
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return ask({ audio: { ...wanted.audio, ...plain } });
  };
  // By the clock, or block after block: on a busy machine Chromium's clock leaps over quanta that it never asked for.
  window.tap.read = (what, isByClock) => {
    const blocks = window.tap[what], first = blocks[0][0], place = ([at], n) => isByClock ? at - first : n * 128;
    const all = new Float32Array(place(blocks.at(-1), blocks.length - 1) + 128);
    blocks.forEach((block, n) => all.set(block[1], place(block, n)));
    let text = '';
    for (const byte of new Uint8Array(all.buffer)) text += String.fromCharCode(byte);
    return { rate: window.tap.context.sampleRate, first, interrupted: window.tap.interrupted, samples: btoa(text) };
  };
}
"""


SILENT_MEANWHILE = """
() => new Promise(resolve => {
  const look = () => {
    const { interrupted, context } = window.tap;
    if (interrupted !== null && context.currentTime > interrupted + .1) resolve(); else requestAnimationFrame(look);
  };
  look();
})
"""
"""Time by the loudspeaker's clock, in which an interruption is heard: what is said next begins at once."""


def noise(seconds: float, rate: int, seed: int) -> PCM:
    """Sound that is nowhere like itself, below 4 kHz: any hole, repeat or shift shows."""
    raw = np.random.default_rng(seed).standard_normal(int(seconds * 8000))
    smooth = soxr.resample(raw, 8000, rate, quality="VHQ")
    return (smooth / np.abs(smooth).max() * 16_000).astype(np.int16)


def offset_of(piece: Samples, whole: Samples) -> int:
    """Where a piece lies in a whole, by cross-correlation."""
    size = 1 << int(np.ceil(np.log2(len(piece) + len(whole))))
    product = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(piece, size)), size)
    at = int(np.argmax(product))
    return at - size if at > len(whole) else at


def likeness(heard: Samples, given: Samples) -> float:
    """How alike what arrived is to what the microphone gave, both at ``WAV_RATE``: a second, after half of one."""
    piece = heard[WAV_RATE // 2 : WAV_RATE * 3 // 2]
    at = offset_of(piece, given)
    return float(np.corrcoef(piece, given[at : at + len(piece)])[0, 1])


@pytest.fixture(scope="module")
def spoken() -> PCM:
    """What the browser's microphone hears, again and again."""
    time = np.arange(6 * WAV_RATE) / WAV_RATE
    syllables = 0.05 + 0.95 * np.sin(np.pi * 2.3 * time) ** 2 * (np.sin(np.pi * 0.7 * time) ** 2)
    return (noise(6, WAV_RATE, 1) * syllables).astype(np.int16)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory, spoken: PCM) -> AsyncIterator[Browser]:
    path = tmp_path_factory.mktemp("voice") / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(WAV_RATE)
        file.writeframes(spoken.tobytes())
    flags = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={path}")
    async with chromium(*flags) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[VoiceLine]:
    async with voice_line() as line:
        yield line


@pytest_asyncio.fixture(loop_scope="module")
async def line(server: VoiceLine) -> VoiceLine:
    server.forget()
    return server


@asynccontextmanager
async def console(browser: Browser, line: VoiceLine, *, allowed: bool = True, **options: Any) -> AsyncIterator[Page]:
    """Open the console, with or without leave to listen, and fail on anything it complains of."""
    complaints: list[str] = []
    async with await browser.new_context(permissions=["microphone"] if allowed else [], **options) as context:
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.add_init_script(f"({TAP})()")
        await page.goto(line.url)
        await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
        await expect(page.get_by_test_id("mic")).to_be_visible()
        yield page
    assert complaints == []


async def open_microphone(page: Page, line: VoiceLine) -> dict[str, Any]:
    started = len(line.of("audio_start"))
    await page.get_by_test_id("mic").click()
    return await line.came("audio_start", started + 1)


async def played(page: Page, *, by_clock: bool = True) -> tuple[Samples, dict[str, Any]]:
    """What the loudspeaker was given so far, each sample at its time or after the one before, and the clock of it."""
    return await _recorded(page, "played", by_clock)


async def given(page: Page) -> Samples:
    """What the microphone gave the page so far, at ``WAV_RATE``.

    Not the file that the microphone plays: Chromium begins it late and leaps over quanta on a busy machine.
    """
    samples, tap = await _recorded(page, "heard", by_clock=False)
    return soxr.resample(samples, tap["rate"], WAV_RATE, quality="VHQ")


async def _recorded(page: Page, what: str, by_clock: bool) -> tuple[Samples, dict[str, Any]]:
    tap = await page.evaluate("([what, byClock]) => window.tap.read(what, byClock)", [what, by_clock])
    return np.frombuffer(base64.b64decode(tap["samples"]), np.float32).astype(np.float64), tap


def as_played(pcm: PCM, rate: int) -> Samples:
    return soxr.resample(pcm.astype(np.float64) / 32768, SPEAKING_RATE, rate, quality="VHQ")


def sounding(samples: Samples) -> list[tuple[int, int]]:
    """The stretches that sound, with at least 5 ms of silence between them."""
    loud = np.flatnonzero(np.abs(samples) > 1e-5)
    breaks = np.flatnonzero(np.diff(loud) > 240)
    starts, ends = [loud[0], *loud[breaks + 1]], [*loud[breaks], loud[-1]]
    return [(int(start), int(end) + 1) for start, end in zip(starts, ends, strict=True)]


def unlike(heard: Samples, meant: Samples) -> float:
    """How much of what is heard is not what was meant."""
    size = min(len(heard), len(meant))
    return float(np.sqrt(np.mean((heard[:size] - meant[:size]) ** 2) / np.mean(meant[:size] ** 2)))


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=f"{SHOTS}/{name}.png")


async def test_what_the_microphone_hears_arrives_as_it_was_at_16_khz(browser: Browser, line: VoiceLine) -> None:
    async with console(browser, line) as page:
        started = await open_microphone(page, line)
        await line.until(lambda: len(line.sound) >= 100)
        await page.get_by_test_id("mic").click()
        await line.came("audio_stop")
        asked = await page.evaluate("window.tap.asked")
        meant = await given(page)

    assert started["encoding"] == "pcm_s16le"
    assert started["sample_rate"] == HEARING_RATE
    assert started["speak"] is True
    assert "record" not in started
    assert all(asked[0][each] is True for each in ("echoCancellation", "noiseSuppression", "autoGainControl"))
    assert {len(frame) for frame in line.sound} == {640}
    sound = np.frombuffer(b"".join(line.sound), "<i2").astype(np.float64)
    assert likeness(soxr.resample(sound, HEARING_RATE, WAV_RATE, quality="VHQ"), meant) > 0.99


async def test_opus_packets_are_the_same_sound(browser: Browser, line: VoiceLine) -> None:
    async with console(browser, line) as page:
        await page.get_by_test_id("voice-settings").locator("summary").click()
        await page.get_by_test_id("voice-encoding").select_option("opus")
        await page.keyboard.press("Escape")
        started = await open_microphone(page, line)
        await line.until(lambda: len(line.sound) >= 100)
        await page.get_by_test_id("mic").click()
        await line.came("audio_stop")
        meant = await given(page)

    assert started["encoding"] == "opus"
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    pieces = [frame.to_ndarray().reshape(-1) for packet in line.sound for frame in decoder.decode(av.Packet(packet))]
    assert {len(piece) for piece in pieces} == {960}  # 20 ms each
    sound = np.concatenate(pieces).astype(np.float64)
    assert likeness(sound, meant) > 0.9  # a codec for voices, given noise


@pytest.mark.parametrize("by", ["mouse", "space"])
async def test_who_holds_is_heard_only_while_holding(browser: Browser, line: VoiceLine, by: str) -> None:
    async with console(browser, line) as page:
        mic = page.get_by_test_id("mic")
        await page.locator("body").click(position={"x": 300, "y": 20})
        for count in (1, 2):
            if by == "mouse":
                await mic.hover()
                await page.mouse.down()
            else:
                await page.keyboard.down(" ")
            await line.came("audio_start", count)
            await line.until(lambda: len(line.sound) >= 30)
            if by == "mouse":
                await page.mouse.up()
            else:
                await page.keyboard.up(" ")
            await line.came("audio_stop", count)
            await expect(mic).to_have_attribute("aria-pressed", "false")
            sent = len(line.sound)
            await page.get_by_test_id("input").fill(f"hola {count}")
            await page.get_by_test_id("send").click()
            await line.came("user_input", 1)  # whatever was under way has come by now
            assert len(line.sound) == sent
            await page.locator("body").click(position={"x": 300, "y": 20})
        await page.get_by_test_id("input").fill("con espacios")
        await page.get_by_test_id("input").press("Space")
        await expect(page.get_by_test_id("input")).to_have_value("con espacios ")
        assert len(line.of("audio_start")) == 2


async def test_speech_plays_without_a_hole_and_says_how_far_it_is(browser: Browser, line: VoiceLine) -> None:
    speech = noise(2.9, SPEAKING_RATE, 2)
    async with console(browser, line) as page:
        await open_microphone(page, line)
        await line.hear("t1", "hola")
        await line.send(type="agent_chunk", turn_id="t1", agent="NAVEGANTE", text="Hola, ¿en qué dirección?")
        await line.say("t1", speech, 0, 1000)
        await line.until(lambda: any(ack["played_ms"] >= 200 for ack in line.of("playback")))
        await line.say("t1", speech, 1000, 2300, step_ms=37)
        await line.until(lambda: any(ack["played_ms"] >= 1000 for ack in line.of("playback")))
        await line.say("t1", speech, 2300)
        await line.finish("t1", "Hola, ¿en qué dirección?")
        await line.until(lambda: line.of("playback")[-1]["played_ms"] >= 2900)
        heard, tap = await played(page, by_clock=False)
        state = await page.evaluate("window.voztaxi.voice()")

    stretches = sounding(heard)
    meant = as_played(speech, tap["rate"])
    assert len(stretches) == 1
    begin = offset_of(meant[4800:24_000], heard) - 4800
    assert abs(begin - stretches[0][0]) <= 128
    assert unlike(heard[begin + 200 :], meant[200:]) < 0.03
    assert state["holes"] == 0
    acks = [ack["played_ms"] for ack in line.of("playback")]
    assert all(ack["turn_id"] == "t1" for ack in line.of("playback"))
    assert acks == sorted(acks)
    assert acks[-1] == 2900
    assert len(acks) >= 5
    assert max(np.diff(acks)) < 1000
    latency = state["latency"][0]
    assert latency["t0"] <= latency["transcript"] <= latency["word"] <= latency["audio"] <= latency["heard"]


@pytest.mark.parametrize("off_by_ms", [-40, 600])
async def test_a_false_alarm_falls_silent_at_once_and_goes_on_where_it_was(
    browser: Browser, line: VoiceLine, off_by_ms: int
) -> None:
    speech = noise(2.5, SPEAKING_RATE, 3)
    async with console(browser, line) as page:
        await open_microphone(page, line)
        await line.hear("t1", "hola")
        await line.send(type="agent_chunk", turn_id="t1", agent="NAVEGANTE", text="Hola, ¿en qué dirección?")
        await line.say("t1", speech, 0, 1500)
        await line.until(lambda: any(ack["played_ms"] >= 500 for ack in line.of("playback")))
        before = len(line.of("playback"))
        thought = line.of("playback")[-1]["played_ms"] + off_by_ms  # the server's own idea of what was heard
        await line.send(type="interrupted", turn_id="t1", offset_ms=thought)
        told = await line.came("playback", before + 1)
        assert told["played_ms"] >= thought - max(0, off_by_ms)
        await line.send(type="stt_chunk", turn_id="t2", text="ajá")
        await expect(page.locator("[data-testid=message][data-turn=t2]")).to_contain_text("ajá")
        silent, tap = await played(page)
        await line.say("t1", speech, thought)
        await line.finish("t1", "Hola, ¿en qué dirección?")
        await line.until(lambda: line.of("playback")[-1]["played_ms"] >= 2500)
        heard, tap = await played(page)

    [(_, fell_silent)] = sounding(silent)
    assert (fell_silent + tap["first"]) / tap["rate"] - tap["interrupted"] < 0.2
    first, second = sounding(heard)
    meant = as_played(speech, tap["rate"])
    origin = offset_of(meant[4800:19_200], heard[: first[1]]) - 4800
    assert abs(origin - first[0]) <= 128
    whole = np.concatenate([heard[origin : first[1]], heard[slice(*second)]])
    joint = first[1] - origin
    late = offset_of(meant[joint + 400 :], whole) - (joint + 400)
    assert abs(late) <= 10  # the ends of a fade are too faint to be seen
    assert unlike(whole[400 : joint - 400], meant[400 : joint - 400]) < 0.03
    assert unlike(whole[joint + 400 + late :], meant[joint + 400 :]) < 0.03


async def test_an_interruption_ends_the_sound_and_strikes_what_was_not_heard(browser: Browser, line: VoiceLine) -> None:
    said = "Claro que sí. El taxi llega en cinco minutos a la puerta."
    async with console(browser, line) as page:
        await open_microphone(page, line)
        await line.hear("t1", "hola")
        await line.send(type="agent_chunk", turn_id="t1", agent="OPERADOR", text=said)
        await line.say("t1", noise(1.5, SPEAKING_RATE, 4))
        await line.until(lambda: any(ack["played_ms"] >= 300 for ack in line.of("playback")))
        await line.send(type="interrupted", turn_id="t1", offset_ms=400)
        await line.finish("t1", "Claro que sí.", status="interrupted")
        await page.evaluate(SILENT_MEANWHILE)
        await line.hear("t2", "no, espere")
        await line.say("t2", noise(0.4, SPEAKING_RATE, 5))
        await line.finish("t2", "Dígame.")
        await line.until(
            lambda: line.of("playback")[-1]["turn_id"] == "t2" and line.of("playback")[-1]["played_ms"] == 400
        )
        heard, tap = await played(page)
        bubble = page.locator("[data-testid=message][data-turn=t1][data-role=assistant]")
        await expect(bubble).to_have_attribute("data-status", "interrupted")
        struck = await page.evaluate("[...CSS.highlights.get('cut')].map(String)")

    assert struck == [said.removeprefix("Claro que sí.")]
    first, second = sounding(heard)
    assert first[1] / tap["rate"] + tap["first"] / tap["rate"] - tap["interrupted"] < 0.2
    assert abs((second[1] - second[0]) / tap["rate"] - 0.4) < 0.005


async def test_a_lost_line_comes_back_for_what_was_not_played(browser: Browser, line: VoiceLine) -> None:
    speech = noise(2.4, SPEAKING_RATE, 6)
    async with console(browser, line) as page:
        await open_microphone(page, line)
        await line.hear("t1", "hola")
        await line.send(type="agent_chunk", turn_id="t1", agent="NAVEGANTE", text="Hola.")
        await line.say("t1", speech, 0, 2000)
        await line.until(lambda: any(ack["played_ms"] >= 400 for ack in line.of("playback")))
        await line.cut()
        asked = await line.came("replay")
        await line.say("t1", speech, asked["audio_from_ms"])
        await line.finish("t1", "Hola.")
        await line.came("audio_start", 2)  # the microphone stayed open
        await line.until(lambda: line.of("playback")[-1]["played_ms"] == 2400)
        heard, tap = await played(page)

    assert asked["after_seq"] == 4
    assert 400 <= asked["audio_from_ms"] < 2000
    [(begin, _)] = sounding(heard)
    start = offset_of(as_played(speech, tap["rate"])[4800:24_000], heard) - 4800
    assert abs(start - begin) <= 128
    assert unlike(heard[start + 200 :], as_played(speech, tap["rate"])[200:]) < 0.03


async def test_who_refuses_the_microphone_is_told_how_to_allow_it(browser: Browser, line: VoiceLine) -> None:
    async with console(browser, line, allowed=False) as page:
        await page.get_by_test_id("mic").click()
        problem = page.get_by_test_id("voice-problem")
        await expect(problem).to_contain_text("El navegador no deja usar el micrófono")
        await expect(page.get_by_test_id("mic")).to_have_attribute("aria-pressed", "false")
        await shoot(page, "voice-denied")
        await page.context.grant_permissions(["microphone"])
        await page.get_by_test_id("mic").press("Enter")
        await line.came("audio_start")
        await expect(problem).to_be_hidden()


@pytest.mark.parametrize(
    ("error", "words"),
    [("NotFoundError", "No hay ningún micrófono"), ("NotReadableError", "Otro programa"), (None, "páginas seguras")],
)
async def test_a_microphone_that_is_missing_busy_or_not_to_be_had_is_explained(
    browser: Browser, line: VoiceLine, error: str | None, words: str
) -> None:
    fails = (
        "name => { navigator.mediaDevices.getUserMedia = name && (async () => { throw new DOMException('', name); }); }"
    )
    async with console(browser, line) as page:
        await page.evaluate(fails, error)
        await page.get_by_test_id("mic").click()
        await expect(page.get_by_test_id("voice-problem")).to_contain_text(words)
        await page.get_by_test_id("input").fill("por escrito")
        await page.get_by_test_id("send").click()
        assert (await line.came("user_input"))["text"] == "por escrito"
        assert line.of("audio_start") == []


@pytest.mark.parametrize("agrees", [True, False])
async def test_who_may_be_recorded_is_asked_before_the_microphone_opens(
    browser: Browser, line: VoiceLine, agrees: bool
) -> None:
    line.offer = {**(line.offer or {}), "recording": {"on": True, "consent": "Esta llamada se graba."}}
    async with console(browser, line, viewport={"width": 390, "height": 844}) as page:
        await page.get_by_test_id("mic").click()
        await expect(page.get_by_test_id("consent-text")).to_have_text("Esta llamada se graba.")
        assert await page.evaluate("window.tap.asked") == []
        await page.get_by_test_id("consent-close").click()
        await expect(page.get_by_test_id("mic")).to_have_attribute("aria-pressed", "false")
        await page.get_by_test_id("mic").click()
        await shoot(page, "voice-consent-phone")
        await page.get_by_test_id("consent-record").set_checked(agrees)
        await page.get_by_test_id("consent-open").click()
        started = await line.came("audio_start")

    assert started.get("record") is (True if agrees else None)
    assert len(line.of("audio_start")) == 1


async def test_a_server_that_cannot_hear_says_what_to_install(browser: Browser, line: VoiceLine) -> None:
    line.offer = None
    async with console(browser, line) as page:
        await page.get_by_test_id("mic").click()
        await expect(page.get_by_test_id("voice-missing")).to_contain_text("pip install 'voztaxi[voice]'")
        await expect(page.get_by_test_id("voice-input")).to_be_hidden()
        await shoot(page, "voice-deaf")
        assert await page.evaluate("window.tap.asked") == []


async def test_typed_text_is_read_aloud_where_that_is_wanted(browser: Browser, line: VoiceLine) -> None:
    async with console(browser, line, viewport={"width": 390, "height": 844}) as page:
        await page.get_by_test_id("voice-settings").locator("summary").click()
        await page.get_by_test_id("voice-aloud").check()
        await shoot(page, "voice-settings-phone")
        await page.keyboard.press("Escape")
        await page.get_by_test_id("input").fill("Hola")
        await page.get_by_test_id("send").click()
        typed = await line.came("user_input")
        await line.hear("t1", "Hola")
        await line.send(type="agent_chunk", turn_id="t1", agent="NAVEGANTE", text="Hola.")
        await line.say("t1", noise(0.5, SPEAKING_RATE, 7))
        await line.finish("t1", "Hola.")
        await line.until(lambda: bool(line.of("playback")) and line.of("playback")[-1]["played_ms"] == 500)
        heard, tap = await played(page)

    assert typed["speak"] is True
    [(begin, end)] = sounding(heard)
    assert abs((end - begin) / tap["rate"] - 0.5) < 0.02


async def test_errors_of_the_voice_leave_what_was_typed_alone(browser: Browser, line: VoiceLine) -> None:
    async with console(browser, line) as page:
        await open_microphone(page, line)
        await page.get_by_test_id("input").fill("por escrito")
        await page.get_by_test_id("send").click()
        await line.came("user_input")
        await line.send(type="system_message", level="error", code="stt_failed", message="No se entendió.")
        await expect(page.get_by_test_id("toast")).to_contain_text("No se entendió.")
        await expect(page.get_by_test_id("mic")).to_have_attribute("aria-pressed", "true")
        await line.send(type="system_message", level="error", code="too_many_microphones", message="Demasiados.")
        await expect(page.get_by_test_id("mic")).to_have_attribute("aria-pressed", "false")
        await expect(page.locator("[data-testid=message][data-role=user]")).to_have_attribute("data-status", "pending")


async def test_speech_that_comes_to_nothing_leaves_the_screen(browser: Browser, line: VoiceLine) -> None:
    async with console(browser, line) as page:
        await open_microphone(page, line)
        await line.send(type="stt_chunk", turn_id="t1", text="eh")
        caption = page.get_by_test_id("caption")
        await expect(caption).to_contain_text("eh")
        await line.send(type="stt_chunk", turn_id="t2", text="necesito un")
        await expect(page.locator("[data-testid=message][data-role=user] .body")).to_have_text(["necesito un"])
        await expect(caption).to_contain_text("necesito un")
        await expect(page.locator("[data-testid=message][data-role=user]")).to_have_count(0, timeout=15_000)
        await expect(caption).to_be_hidden()


async def test_presses_in_quick_succession_stay_in_order(browser: Browser, line: VoiceLine) -> None:
    async with console(browser, line) as page:
        await page.locator("body").click(position={"x": 300, "y": 20})
        await open_microphone(page, line)
        for _ in range(5):
            await page.get_by_test_id("mic").press("Enter")
        await line.until(lambda: line.frames[-1]["type"] == "audio_stop")
        await open_microphone(page, line)
        await line.until(lambda: len(line.sound) > 10)

    kinds = [frame["type"] for frame in line.frames if frame["type"].startswith("audio_")]
    assert kinds == ["audio_start", "audio_stop"] * (len(kinds) // 2) + ["audio_start"]
    assert len(kinds) >= 3


async def test_the_microphone_of_a_page_opened_as_a_file_works(browser: Browser, line: VoiceLine) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto((ROOT / "test_websocket_client.html").as_uri())
        await context.grant_permissions(["microphone"])
        await page.locator("#server summary").click()
        await page.get_by_test_id("server-url").fill(line.url)
        await page.get_by_test_id("server-url").press("Enter")
        await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
        await open_microphone(page, line)
        await line.until(lambda: len(line.sound) > 10)


async def test_a_pause_stops_the_sound_that_is_here_already(browser: Browser, line: VoiceLine) -> None:
    speech = noise(1.5, SPEAKING_RATE, 9)
    async with console(browser, line) as page:
        await open_microphone(page, line)
        await line.hear("t1", "hola")
        await line.send(type="agent_chunk", turn_id="t1", agent="NAVEGANTE", text="Hola.")
        await line.say("t1", speech)
        await line.until(lambda: any(ack["played_ms"] >= 300 for ack in line.of("playback")))
        await page.get_by_test_id("pause").click()
        await line.came("pause")
        await line.until(lambda: len(line.sound) >= 100)  # time goes on
        await page.get_by_test_id("pause").click()
        await line.came("resume")
        await line.finish("t1", "Hola.")
        await line.until(lambda: line.of("playback")[-1]["played_ms"] == 1500)
        heard, tap = await played(page)

    first, second = sounding(heard)
    assert abs((first[1] - first[0] + second[1] - second[0]) / tap["rate"] - 1.5) < 0.005


async def test_the_words_are_marked_as_they_are_heard(browser: Browser, line: VoiceLine) -> None:
    said = "Perfecto, te recojo en la Calle 72 número 43-25. ¿Cómo quieres pagar? "
    async with console(browser, line, viewport={"width": 1440, "height": 900}, color_scheme="light") as page:
        await open_microphone(page, line)
        await line.until(lambda: len(line.sound) >= 150)
        await line.hear("t1", "Hola, necesito un taxi en la calle setenta y dos")
        await line.send(type="agent_chunk", turn_id="t1", agent="NAVEGANTE", text=said)
        swell = np.sin(np.arange(4 * SPEAKING_RATE) / 3000) ** 2 * noise(4, SPEAKING_RATE, 8)
        await line.say("t1", swell.astype(np.int16))
        await line.until(lambda: any(ack["played_ms"] >= 1300 for ack in line.of("playback")))
        await expect(page.get_by_test_id("voice-state")).to_have_text("Habla el agente")
        saying = await page.evaluate("[...CSS.highlights.get('saying')].map(String)")
        unheard = await page.evaluate("[...CSS.highlights.get('unheard')].map(String)")
        await expect(page.get_by_test_id("caption")).to_contain_text("Perfecto, te recojo")
        await shoot(page, "voice-light")
        await page.emulate_media(color_scheme="dark")
        await shoot(page, "voice-dark")
        await page.set_viewport_size({"width": 390, "height": 844})
        await shoot(page, "voice-phone")
        await page.emulate_media(reduced_motion="reduce", color_scheme="light")
        await shoot(page, "voice-calm-phone")

    assert set(saying) <= set(said.split())
    assert any(said.endswith(rest) and 0 < len(rest) < len(said) - 10 for rest in unheard)

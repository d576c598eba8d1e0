"""What every codec does with a microphone's frames."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from app.core.errors import BadInput
from app.engines.codecs.formats import open_decoder
from app.models.audio import HEARING_RATE, AudioFormat, duration_ms
from tests.sounds import loudness, mulaw, opus_packets, strongest_hertz, tone

pytestmark = pytest.mark.contract

SECOND = 1000


@dataclass
class Microphone:
    """A format, and how a tone comes in it: frames of 20 ms."""

    audio: AudioFormat
    frames: Callable[[float], list[bytes]]


def _plain(rate: int) -> Callable[[float], list[bytes]]:
    size = rate // 50 * 2
    return lambda hertz: [
        sound[start : start + size] for sound in [tone(hertz, SECOND, rate)] for start in range(0, len(sound), size)
    ]


def _mulaw(rate: int) -> Callable[[float], list[bytes]]:
    return lambda hertz: [mulaw(frame) for frame in _plain(rate)(hertz)]


def _opus(channels: int) -> Callable[[float], list[bytes]]:
    return lambda hertz: opus_packets(tone(hertz, SECOND, 48_000), channels=channels)


RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
MICROPHONES = {
    **{f"pcm_{rate}": Microphone(AudioFormat("pcm_s16le", rate), _plain(rate)) for rate in RATES},
    "mulaw_8000": Microphone(AudioFormat("mulaw", 8_000), _mulaw(8_000)),
    "mulaw_16000": Microphone(AudioFormat("mulaw", 16_000), _mulaw(16_000)),
    "opus_mono": Microphone(AudioFormat("opus", 48_000), _opus(1)),
    "opus_stereo": Microphone(AudioFormat("opus", 48_000), _opus(2)),
}


@pytest.fixture(params=MICROPHONES.values(), ids=MICROPHONES.keys())
def microphone(request: pytest.FixtureRequest) -> Microphone:
    """Every format."""
    return request.param


def test_a_tone_is_heard_as_the_same_tone(microphone: Microphone) -> None:
    decoder = open_decoder(microphone.audio)

    heard = b"".join(piece for frame in microphone.frames(440) for piece in decoder.decode(frame)) + decoder.flush()

    assert duration_ms(len(heard), HEARING_RATE) == pytest.approx(SECOND, abs=25)
    assert strongest_hertz(heard) == pytest.approx(440, abs=2)
    assert loudness(heard) == pytest.approx(8000 / 2**0.5, rel=0.05)


def test_sound_is_hardly_held_back(microphone: Microphone) -> None:
    decoder = open_decoder(microphone.audio)
    heard = b"".join(piece for frame in microphone.frames(440) for piece in decoder.decode(frame))

    assert duration_ms(len(heard), HEARING_RATE) > SECOND - 25
    assert duration_ms(len(decoder.flush()), HEARING_RATE) < 25


def test_every_piece_is_whole_samples_and_short(microphone: Microphone) -> None:
    decoder = open_decoder(microphone.audio)
    pieces = [piece for frame in microphone.frames(440) for piece in decoder.decode(frame)]

    assert all(len(piece) % 2 == 0 for piece in pieces)
    assert max(duration_ms(len(piece), HEARING_RATE) for piece in pieces) <= 121


def test_frames_of_any_size_make_the_same_sound() -> None:
    sound = tone(300, SECOND, 44_100)
    for encoding, whole in (("pcm_s16le", sound), ("mulaw", mulaw(sound))):
        audio = AudioFormat(encoding, 44_100)  # type: ignore[arg-type]
        at_once, in_bits = open_decoder(audio), open_decoder(audio)
        bits = [whole[start : start + 338] for start in range(0, len(whole), 338)]

        one = b"".join(at_once.decode(whole)) + at_once.flush()
        other = b"".join(piece for bit in bits for piece in in_bits.decode(bit)) + in_bits.flush()

        assert len(one) == len(other)
        assert np.abs(np.frombuffer(one, np.int16).astype(int) - np.frombuffer(other, np.int16)).max() <= 2


def test_what_a_recogniser_cannot_hear_does_not_fold_into_what_it_can() -> None:
    for rate in (44_100, 48_000, 96_000):
        decoder = open_decoder(AudioFormat("pcm_s16le", rate))
        heard = b"".join(decoder.decode(tone(11_000, SECOND, rate)))

        assert loudness(heard[3200:]) < 8000 / 300


def test_a_telephone_leaves_the_upper_half_silent() -> None:
    decoder = open_decoder(AudioFormat("mulaw", 8_000))
    heard = b"".join(decoder.decode(mulaw(tone(3_000, SECOND, 8_000))))
    spectrum = np.abs(np.fft.rfft(np.frombuffer(heard, np.int16)[1600:14400]))

    assert spectrum[len(spectrum) * 5 // 8 :].max() < spectrum.max() / 100


def test_the_table_of_mulaw_is_the_one_of_g_711() -> None:
    decoder = open_decoder(AudioFormat("mulaw", 16_000))
    heard = b"".join(decoder.decode(bytes([0x00, 0x80, 0x7F, 0xFF, 0x8F, 0x0F])))

    assert np.frombuffer(heard, np.int16).tolist() == [-32124, 32124, 0, 0, 16764, -16764]


def test_half_a_sample_is_refused_and_the_next_frame_is_taken() -> None:
    for rate in (16_000, 48_000):
        decoder = open_decoder(AudioFormat("pcm_s16le", rate))
        for odd in (b"\0", bytes(641)):
            with pytest.raises(BadInput) as refused:
                decoder.decode(odd)
            assert refused.value.error_code == "invalid_audio"

        assert b"".join(decoder.decode(bytes(rate // 10 * 2)))


def test_a_broken_packet_is_refused_and_the_stream_goes_on() -> None:
    decoder = open_decoder(AudioFormat("opus"))
    packets = opus_packets(tone(440, SECOND, 48_000))
    heard = bytearray()
    for number, packet in enumerate(packets):
        if number % 10 == 5:
            for broken in (b"", b"\xff\xff\xff", bytes(48 * 1275 + 1)):
                with pytest.raises(BadInput) as refused:
                    decoder.decode(broken)
                assert refused.value.error_code == "invalid_audio"
        for piece in decoder.decode(packet):
            heard += piece

    assert duration_ms(len(heard), HEARING_RATE) == pytest.approx(SECOND, abs=25)
    assert strongest_hertz(bytes(heard)) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [-1, 0, 1, 7_999, 96_001, 10**12])
def test_a_rate_that_no_microphone_has_is_refused(rate: int) -> None:
    for encoding in ("pcm_s16le", "mulaw"):
        with pytest.raises(BadInput) as refused:
            open_decoder(AudioFormat(encoding, rate))  # type: ignore[arg-type]
        assert refused.value.error_code == "invalid_audio"


def test_nothing_is_no_sound(microphone: Microphone) -> None:
    if microphone.audio.encoding == "opus":
        return
    decoder = open_decoder(microphone.audio)

    assert b"".join(decoder.decode(b"")) == b""
    assert loudness(decoder.flush()) < 1

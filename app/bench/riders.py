"""What callers say, as sound. Their voices are the tests', made with the weights of ``scripts/weights``."""

import importlib
import random
import sys
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from app.models.audio import HEARING_RATE

Voice = Literal["ef_dora", "em_alex"]
VOICES: tuple[Voice, ...] = ("ef_dora", "em_alex")
Condition = Literal["clean", "20 dB", "10 dB", "telephone"]
CONDITIONS: tuple[Condition, ...] = ("clean", "20 dB", "10 dB", "telephone")

_OPENINGS = (
    "Hola, buenas tardes, necesito un taxi.",
    "Buenos días, me puede enviar un taxi por favor.",
    "Necesito un carro para ir al aeropuerto.",
    "Quiero pedir un taxi para las cinco de la tarde.",
    "Buenas, ¿tienen taxis disponibles ahora?",
)
_ADDRESSES = (
    "Estoy en la calle setenta y dos número cuarenta y tres veinticinco.",
    "La dirección es carrera cincuenta y uno be número ochenta y cuatro ciento diez.",
    "En la carrera cuarenta y seis con calle setenta y seis.",
    "Es la calle noventa y tres número cuarenta y siete ochenta.",
    "Me recoge en el centro comercial Buenavista.",
    "Estoy frente al estadio Romelio Martínez.",
    "Calle treinta número ocho cincuenta y tres, por favor.",
)
_DETAILS = (
    "El barrio es El Prado.",
    "Queda en el barrio Boston.",
    "En Villa Country, en la torre dos.",
    "Pago en efectivo.",
    "Voy a pagar con Nequi.",
    "Pago con tarjeta.",
    "Somos cuatro personas con maletas.",
    "Llevo un perro pequeño.",
    "No, nada más, gracias.",
    "Sí, por favor, confirme el taxi.",
    "Sí, está todo bien.",
    "No, espere, la dirección está mal.",
)
SENTENCES = (*_OPENINGS, *_ADDRESSES, *_DETAILS)

INTERRUPTIONS = (
    "No, espera.",
    "Cancela, por favor.",
    "Mejor con Nequi.",
    "Un momento, eso no es así.",
    "Perdón, la dirección es otra.",
    "Espere, espere un segundo.",
    "No, no quiero eso.",
    "Necesito el taxi ahora mismo.",
    "Oiga, ¿cuánto cuesta la carrera?",
    "Mejor mande el taxi a la calle setenta y dos.",
    "Quiero hablar con una persona.",
    "Ya no necesito el taxi.",
    "¿Me puede repetir eso?",
    "Yo pago en efectivo.",
    "Somos cinco personas.",
)
BACKCHANNELS = (
    "Ajá.",
    "Mhm.",
    "Sí, sí.",
    "Ok.",
    "Claro.",
    "Sí.",
    "Ya.",
    "Bueno.",
    "Ah, ya.",
    "Perfecto.",
    "Listo.",
    "Vale.",
    "Ajá, sí.",
    "Muy bien.",
    "De acuerdo.",
)


class NotACheckout(RuntimeError):
    """The tests' voices are not there: the command runs from a checkout alone."""


def _voices() -> Any:
    root = str(Path(__file__).parents[2])
    if root not in sys.path:
        sys.path.append(root)
    try:
        return importlib.import_module("tests.voices")
    except ModuleNotFoundError as error:
        raise NotACheckout(f"run it in a checkout, after scripts/install --dev: {error}") from error


def weights_folder() -> Path:
    """Return the folder with the weights."""
    return cast("Path", _voices().weights_folder())


def spoken(text: str, voice: Voice = "ef_dora") -> bytes:
    """Return a text as a rider speaks it: mono ``pcm_s16le`` at ``HEARING_RATE``, without silence around it."""
    return cast("bytes", _voices().spoken(text, voice))


def in_a_room(speech: bytes, condition: Condition, lead: float, trail: float, seed: int = 0) -> bytes:
    """Return what becomes of speech on its way, with the silence before and after it: noise goes on in there too.

    Args:
        speech: Mono ``pcm_s16le`` at ``HEARING_RATE``.
        condition: What lies on the way; decibels are those that the noise lies under the speech.
        lead: Seconds before it.
        trail: Seconds after it.
        seed: Chooses the noise.
    """
    voices = _voices()
    padded = cast("bytes", voices.silence(lead) + speech + voices.silence(trail))
    if condition == "telephone":
        return cast("bytes", voices.over_telephone(padded))
    if condition == "clean":
        return padded
    loudness = float(np.sqrt(np.mean(np.square(np.frombuffer(speech, dtype="<i2") / 32768))))
    level = loudness * 10 ** (-float(condition.removesuffix(" dB")) / 20)
    noise = np.frombuffer(voices.noise(len(padded) / 2 / HEARING_RATE, level=level, seed=seed), dtype="<i2")
    mixed = np.frombuffer(padded, dtype="<i2").astype(np.int32) + noise[: len(padded) // 2]
    return bytes(np.clip(mixed, -32768, 32767).astype("<i2").tobytes())


def sentences(count: int, seed: int = 0) -> list[tuple[str, Voice]]:
    """Return sentences of riders in both voices by turns, in the order that a seed makes; longer lists repeat."""
    chosen: list[tuple[str, Voice]] = []
    shuffled = random.Random(seed)  # noqa: S311 - variety, not a secret
    while len(chosen) < count:
        both = [(text, voice) for text in SENTENCES for voice in VOICES]
        shuffled.shuffle(both)
        chosen += both
    return chosen[:count]

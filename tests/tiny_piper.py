"""A voice in Piper's format that hums a tone for each phoneme: enough to run the engine, none to listen to.

The model is written by hand, for the package that makes such files is only needed to train voices.
"""

import json
import struct
from pathlib import Path

_SAMPLE_RATE = 16_000
_SAMPLES_PER_PHONEME = 800
_INT64, _FLOAT = 7, 1
_ALPHABET = " ʲabdefijklmnoprstuwxɡɣɲɾʃʎʝβðθŋˈˌːɛɔt,.!?;:"


def write_voice(folder: Path) -> Path:
    """Write the voice into a folder and return its ``.onnx``."""
    model = folder / "tiny.onnx"
    model.write_bytes(_model())
    symbols = {"_": [0], "^": [1], "$": [2], **{symbol: [number] for number, symbol in enumerate(_ALPHABET, start=3)}}
    description = {
        "audio": {"sample_rate": _SAMPLE_RATE},
        "espeak": {"voice": "es-419"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": symbols,
        "num_symbols": len(symbols),
        "num_speakers": 1,
        "speaker_id_map": {},
    }
    Path(f"{model}.json").write_text(json.dumps(description), encoding="utf-8")
    return model


def _model() -> bytes:
    """Return: output = sin(0.3 * input), each value so many times."""
    nodes = [
        _node("Cast", ["input"], "numbers", _field(5, _field(1, b"to") + _number(20, 2) + _number(3, _FLOAT))),
        _node("Mul", ["numbers", "step"], "steps"),
        _node("Tile", ["steps", "repeats"], "long"),
        _node("Sin", ["long"], "output"),
    ]
    step = _number(2, _FLOAT) + _field(8, b"step") + _field(9, struct.pack("<f", 0.3))
    repeats = (
        _number(1, 2)
        + _number(2, _INT64)
        + _field(8, b"repeats")
        + _field(9, struct.pack("<2q", 1, _SAMPLES_PER_PHONEME))
    )
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"tiny")
    graph += _field(5, step) + _field(5, repeats)
    graph += _field(11, _value("input", _INT64, 2)) + _field(11, _value("input_lengths", _INT64, 1))
    graph += _field(11, _value("scales", _FLOAT, 1)) + _field(12, _value("output", _FLOAT, 2))
    return _number(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, 17))


def _node(operator: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    named = b"".join(_field(1, name.encode()) for name in inputs)
    return named + _field(2, output.encode()) + _field(4, operator.encode()) + attributes


def _value(name: str, kind: int, dimensions: int) -> bytes:
    shape = b"".join(_field(1, _field(2, f"{name}{number}".encode())) for number in range(dimensions))
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, kind) + _field(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])

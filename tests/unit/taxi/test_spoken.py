"""Only words for the rider are spoken, however a model cuts its stream."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.taxi.spoken import SpokenText

pytestmark = pytest.mark.unit


def speak(pieces: list[str]) -> str:
    spoken = SpokenText()
    said = "".join(spoken.feed(piece) for piece in pieces) + spoken.finish()
    assert said == spoken.said
    return said


def cut(text: str, places: list[int]) -> list[str]:
    marks = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(marks)]


@given(st.text(min_size=1), st.lists(st.integers(0)))
def test_where_a_stream_is_cut_makes_no_difference(text: str, places: list[int]) -> None:
    assert speak(cut(text, places)) == speak([text])


@given(st.text(alphabet="abcñ¡¿ ,.", min_size=1), st.lists(st.integers(0)))
def test_plain_words_are_spoken_as_they_are(text: str, places: list[int]) -> None:
    assert speak(cut(text, places)).strip() == text.strip()


@given(st.dictionaries(st.text(), st.integers()), st.lists(st.integers(0)))
def test_json_is_never_spoken(value: dict[str, int], places: list[int]) -> None:
    assert speak(cut(json.dumps(value), places)) == ""


@given(st.text(alphabet="abc {}<>/", max_size=20), st.lists(st.integers(0)))
def test_thoughts_are_never_spoken(thought: str, places: list[int]) -> None:
    assert speak(cut(f"<think>{thought.replace('</think>', '')}</think>¡Hola!", places)) == "¡Hola!"


def test_a_character_cut_in_two_by_the_stream_is_spoken_whole() -> None:
    assert speak(["Va tu \ud83d", "\ude95", "!"]) == "Va tu 🚕!"
    assert speak(["Va \ude95 tu", " taxi\ud83d"]) == "Va \ufffd tu taxi"


def test_a_thought_that_never_ends_is_not_spoken() -> None:
    assert speak(["<think>", "…"]) == ""

"""Where an answer is cut into what is spoken at once."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.pipeline.sentences import Sentence, Sentences, plain

pytestmark = pytest.mark.unit


def cut(*pieces: str) -> list[Sentence]:
    sentences = Sentences()
    return [sentence for piece in pieces for sentence in sentences.feed(piece)] + sentences.flush()


def words(text: str) -> list[str]:
    return [sentence.words for sentence in cut(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("¡Listo! ¿En qué barrio queda?", ["¡Listo!", "¿En qué barrio queda?"]),
        ("Hola… Ya casi.", ["Hola…", "Ya casi."]),
        ("Hola... ya casi.", ["Hola...", "ya casi."]),
        ("¿¡Cómo!? Bien.", ["¿¡Cómo!?", "Bien."]),
        ("«¿Sí?» Claro.", ["«¿Sí?»", "Claro."]),
        ("¿Sí?¡Claro!", ["¿Sí?", "¡Claro!"]),
        ("Claro.¿Cuál?", ["Claro.", "¿Cuál?"]),
        ("Son $12.500. Gracias.", ["Son $12.500.", "Gracias."]),
        ("Son 12,5 km. hasta allá.", ["Son 12,5 km. hasta allá."]),
        ("Vas a la Cra. 51B No. 79-40. Listo.", ["Vas a la Cra. 51B No. 79-40.", "Listo."]),
        ("Vas a la Kr. 51B # 79-40. Listo.", ["Vas a la Kr. 51B # 79-40.", "Listo."]),
        ("No. Mejor con Nequi.", ["No.", "Mejor con Nequi."]),
        ("Habla el Dr. Pérez. Bien.", ["Habla el Dr. Pérez.", "Bien."]),
        ("Habla J. Pérez. Bien.", ["Habla J. Pérez.", "Bien."]),
        ("Llega a las 8 p.m. en taxi. Bien.", ["Llega a las 8 p.m. en taxi.", "Bien."]),
        ("Llega a las 8 p.m. Gracias.", ["Llega a las 8 p.m.", "Gracias."]),
        ("Llega a las 8:30 a.m.", ["Llega a las 8:30 a.m."]),
        ("Son las 3:30. Bien.", ["Son las 3:30.", "Bien."]),
        (
            "Te recogemos en Calle 72 # 43-25; pagas con Nequi.",
            ["Te recogemos en Calle 72 # 43-25;", "pagas con Nequi."],
        ),
        ("Nota para el conductor: Lleva mascota.", ["Nota para el conductor:", "Lleva mascota."]),
        ("Nota: lleva mascota.", ["Nota: lleva mascota."]),
        ("uno\ndos\n\ntres", ["uno", "dos", "tres"]),
        ("1. Efectivo\n2. Nequi", ["1. Efectivo", "2. Nequi"]),
        ("**Perfecto.** Vamos.", ["Perfecto.", "Vamos."]),
        ("- `uno`\n* dos\n> tres", ["uno", "dos", "tres"]),
        ("## Resumen\nCalle 72", ["Resumen", "Calle 72"]),
        ("# 43-25 es tu casa", ["# 43-25 es tu casa"]),
        ("Mira [el mapa](https://example.com/a.b) aquí.", ["Mira el mapa aquí."]),
        ("En https://example.com/a?b=c hay más.", ["En https://example.com/a?b=c hay más."]),
        ("Perfecto, efectivo. ¿Algo más?", ["Perfecto, efectivo.", "¿Algo más?"]),
        ("Te recogemos allá, en la esquina.", ["Te recogemos allá,", "en la esquina."]),
        ("Hola. Te recogemos allá, en la esquina.", ["Hola.", "Te recogemos allá, en la esquina."]),
        (
            "Con eso no te puedo ayudar porque aquí solamente pedimos taxis",
            ["Con eso no te puedo ayudar porque aquí", "solamente pedimos taxis"],
        ),
        (
            "Listo entonces te recogemos a las ocho en la Calle 72 con Carrera 43",
            ["Listo entonces te recogemos a las ocho en la Calle 72 con Carrera 43"],
        ),
        ("", []),
    ],
)
def test_an_answer_is_cut_where_a_person_would_breathe(text: str, sentences: list[str]) -> None:
    assert words(text) == sentences


def test_a_sentence_is_there_as_soon_as_it_is_over() -> None:
    sentences = Sentences()

    assert [sentence.words for sentence in sentences.feed("¡Hola! Te")] == ["¡Hola!"]
    assert sentences.feed(" recogemos en Calle 72 #43-25.") == []
    assert [sentence.words for sentence in sentences.feed(" ")] == ["Te recogemos en Calle 72 #43-25."]


def test_what_was_begun_is_a_sentence_where_something_else_happens() -> None:
    sentences = Sentences()
    sentences.feed("Déjame ver")

    assert [sentence.words for sentence in sentences.flush()] == ["Déjame ver"]
    assert sentences.flush() == []


def test_no_sentence_is_so_long_that_its_sound_would_be_waited_for() -> None:
    text = "palabra tras palabra, " * 40

    assert max(len(sentence.words) for sentence in cut(text)) <= 280
    assert max(len(sentence.words) for sentence in cut("x" * 1000)) <= 280


parts = st.sampled_from(
    ["Hola", "Cra", "a", "p.m", "No", "12", "500", "43-25", "#", "$", " ", " ", " ", "\n", ".", ",", ":", ";", "?", "!",
     "…", "¿", "¡", "**", "`", "(", ")", "»", "- ", "1", "calle", "etc", "🚕", "x" * 90, "\u0301"]
)  # fmt: skip
texts = st.one_of(st.lists(parts, max_size=60).map("".join), st.text(max_size=300))


@given(texts, st.lists(st.integers(1, 9), max_size=400))
@example("a.m. " * 60, [1] * 400)
@example("Hola." + "." * 40 + " Sí", [1] * 50)
def test_however_the_words_come_the_sentences_are_the_same_and_nothing_is_lost(text: str, sizes: list[int]) -> None:
    pieces, rest = [], text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    sentences = cut(*pieces, rest)

    assert sentences == cut(text)
    assert "".join(text[sentence.start : sentence.end] for sentence in sentences) == text
    assert [sentence.end for sentence in sentences[:-1]] == [sentence.start for sentence in sentences[1:]]
    assert all(sentence.words == plain(text[sentence.start : sentence.end]) for sentence in sentences)

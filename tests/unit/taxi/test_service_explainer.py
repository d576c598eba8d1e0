"""Riders' questions about the service, answered without a model."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models.canvas import DRAWING, HEIGHT, WIDTH, Text
from app.models.explanations import Explanation
from app.taxi.explainer import ServiceExplainer
from app.taxi.fares import Tariff, load_tariff
from app.taxi.knowledge import load_knowledge
from app.taxi.places import Gazetteer
from app.taxi.reading.features import read_features
from app.taxi.reading.payment import _REFUSED
from app.taxi.text import fold

pytestmark = pytest.mark.unit

COVERAGE = ("Barranquilla", "Soledad", "Puerto Colombia", "Galapa")
KNOWLEDGE = load_knowledge()
TOPICS = [topic.name for topic in KNOWLEDGE.topics]


def explainer(
    *, tariff: Tariff | None = None, coverage: tuple[str, ...] = COVERAGE, support_phone: str | None = None
) -> ServiceExplainer:
    return ServiceExplainer(
        tariff=tariff or load_tariff(), gazetteer=Gazetteer.load(), coverage=coverage, support_phone=support_phone
    )


async def ask(question: str, language: str | None = "es", **options: Any) -> Explanation:
    return await explainer(**options).explain(question, {} if language is None else {"language": language})


def text_of(explanation: Explanation) -> str:
    return "\n".join(f"{step.title}\n{step.content}" for step in explanation.steps)


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("¿Cómo se compone una tarifa?", "fare"), ("¿Cuánto cuesta?", "fare"), ("cuanto vale la carrera", "fare"),
        ("How is a fare made up?", "fare"), ("how much does a ride cost", "fare"), ("¿Cuál es la mínima?", "fare"),
        ("¿Cuánto cuesta ir al aeropuerto de noche?", "airport"), ("how much to the airport?", "airport"),
        ("¿Cuánto cuesta de noche?", "surcharges"), ("¿Hay recargo los festivos?", "surcharges"),
        ("recargo noctruno", "surcharges"), ("is it more expensive on sundays", "surcharges"),
        ("¿Cómo puedo pagar?", "payment"), ("puedo pagar con nequi", "payment"),
        ("Do you take cards or cash?", "payment"),
        ("¿Dónde recogen?", "coverage"), ("¿Van a Malambo?", "coverage"), ("which neighbourhoods?", "coverage"),
        ("Se me quedó el celular en el taxi", "lost"), ("I left my phone in the car", "lost"),
        ("¿Cómo se lee una dirección de Barranquilla?", "address"), ("¿Qué significa Calle 72 #43-25?", "address"),
        ("how do I read an address", "address"), ("¿Cómo pido un taxi?", "booking"), ("how does it work", "booking"),
        ("¿Cuánto demora el taxi?", "booking"), ("¿Puedo cancelar?", "cancel"), ("how do I cancel", "cancel"),
        ("¿Llevan mascotas?", "vehicle"), ("silla de ruedas", "vehicle"), ("do you have a baby seat", "vehicle"),
        ("¿Es seguro?", "safety"), ("is it safe at two", "safety"), ("¿Tienen taxímetro?", "meter"),
        ("¿Qué puedes hacer?", "help"), ("what can you do?", "help"),
    ],
)  # fmt: skip
def test_a_question_finds_its_topic(question: str, topic: str) -> None:
    found = KNOWLEDGE.find(question)

    assert found is not None
    assert found.name == topic


@pytest.mark.parametrize(
    "question",
    ["¿Quién ganó el mundial?", "Explícame la fotosíntesis", "what is the capital of France", "🚕", "ñ", "x" * 4000],
)
async def test_what_it_does_not_know_it_says_and_tells_what_it_can_be_asked(question: str) -> None:
    explanation = await ask(question)

    assert explanation.steps[0].title == "Eso no lo sé"
    assert len(explanation.steps) == 3
    assert "tarifas" in explanation.steps[1].content


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("topic", TOPICS)
async def test_every_topic_is_told_whole_in_both_languages(topic: str, language: str) -> None:
    word = next(phrase for phrase, named in KNOWLEDGE.words.items() if named == {topic: 3})

    explanation = await ask(word, language)

    titles = [step.title[language] for step in KNOWLEDGE.topic(topic).steps]  # type: ignore[index]
    assert [step.title for step in explanation.steps] == titles
    assert not re.search(r"\[\[|\]\]|None", text_of(explanation))
    for step in explanation.steps:
        assert len(re.findall(r"(?<!\\)\$", step.content)) % 2 == 0


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("topic", TOPICS)
async def test_every_drawing_can_be_drawn_and_grows_while_it_is_read(topic: str, language: str) -> None:
    word = next(phrase for phrase, named in KNOWLEDGE.words.items() if named == {topic: 3})

    for step in (await ask(word, language)).steps:
        drawings = [DRAWING.validate_python(command.model_dump()) for command in step.canvas_commands]
        places = [drawing.at for drawing in drawings]
        assert places == sorted(places)
        assert all(place is not None and place < len(step.content) for place in places)
        for text in (drawing for drawing in drawings if isinstance(drawing, Text)):
            width = len(text.text) * text.size * 0.62
            left = text.x - {"start": 0, "middle": width / 2, "end": width}[text.align]
            assert left >= 0, text
            assert left + width <= WIDTH + 1, text
            assert text.size / 2 <= text.y <= HEIGHT - text.size / 2


def test_each_drawing_has_its_topic_and_something_is_a_formula() -> None:
    steps = [step for topic in KNOWLEDGE.topics for step in topic.steps]

    assert sum(step.drawing is not None for step in steps) >= 10
    assert any(step.type == "math" for step in steps)


async def test_amounts_are_those_of_the_tariff_table_when_it_is_asked() -> None:
    tariff = load_tariff()
    dearer = replace(tariff, minimum=replace(tariff.minimum, cop=12_345, date="2031-03-01", source="Gaceta"))

    told, english = text_of(await ask("tarifa", tariff=dearer)), text_of(await ask("fares", "en", tariff=dearer))

    assert "12.345 pesos (dato de marzo de 2031; fuente: Gaceta)" in told
    assert tariff.airport.cop is not None
    assert tariff.night_or_holiday.cop is not None
    total = 12_345 + tariff.airport.cop + tariff.night_or_holiday.cop
    assert f"{total:,}".replace(",", ".") + "$$" in told
    assert f"{total:,}".replace(",", "{,}") + "$$" in english
    assert "8.000" not in told


async def test_what_nobody_published_is_said_to_be_unknown() -> None:
    tariff = load_tariff()
    none = {"cop": None, "date": None, "source": None, "status": "unknown"}
    bare = replace(
        tariff,
        minimum=replace(tariff.minimum, **none),
        night_or_holiday=replace(tariff.night_or_holiday, **none),
        airport=replace(tariff.airport, **none),
        terminal=replace(tariff.terminal, **none),
        reach=replace(tariff.reach, km=None, date=None, source=None),
    )

    told = [text_of(await ask(question, language, tariff=bare)) for question, language in
            (("tarifa", "es"), ("airport", "en"), ("recargo", "es"))]  # fmt: skip

    assert "un valor que nadie ha publicado" in told[0]
    assert "an amount that nobody has published" in told[1]
    assert "No hay valores publicados que sumar" in told[2]
    assert not re.search(r"None|\d\.\d{3}", "".join(told))


async def test_a_price_per_kilometre_is_told_once_there_is_one() -> None:
    tariff = load_tariff()
    known = replace(tariff, per_km=replace(tariff.per_km, cop=900, date="2031-03-01", status="found"))

    assert "no está publicado" in text_of(await ask("tarifa"))
    assert "Cada kilómetro adicional vale 900 pesos (dato de marzo de 2031)" in text_of(
        await ask("tarifa", tariff=known)
    )


async def test_the_address_in_the_question_is_the_one_that_is_read() -> None:
    explanation = await ask("¿Qué significa kra 53 # 75-120?")

    assert "**Carrera 53 #75-120** se lee así" in explanation.steps[0].content
    assert "**120** son los metros" in explanation.steps[0].content
    drawn = [command.model_dump().get("text") for command in explanation.steps[0].canvas_commands]
    assert {"Carrera 53", "Calle 75", "120 m", "#120"} <= set(drawn)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("¿Recogen en El Prado?", "En **El Prado (Barranquilla)** sí recogemos."),
        ("¿recogen en Malambo?", "En **Malambo** no recogemos."),
        ("¿Tienen cobertura en Bogotá?", "En **Bogotá** no recogemos."),
        ("¿cobertura?", "En Malambo no recogemos."),
    ],
)
async def test_a_place_in_the_question_is_looked_up(question: str, said: str) -> None:
    assert said in text_of(await ask(question))


async def test_coverage_and_support_are_those_of_the_settings() -> None:
    told = text_of(await ask("cobertura", coverage=("Galapa",)))

    assert "Recogemos en **Galapa**. En Barranquilla, Soledad, Puerto Colombia y Malambo no recogemos." in told
    assert "605 123" in text_of(await ask("objeto perdido", support_phone="605 123"))
    assert "no tengo un teléfono" in text_of(await ask("objeto perdido"))


@pytest.mark.parametrize(
    ("language", "question", "word"),
    [
        ("en", "tarifa", "minimum"), ("en-US", "tarifa", "minimum"), ("es", "how much is the fare", "mínima"),
        (None, "how much is the fare", "minimum"), (None, "tarifa", "mínima"), ("de", "tarifa", "mínima"),
    ],
)  # fmt: skip
async def test_the_language_is_the_context_s_or_else_the_question_s(
    language: str | None, question: str, word: str
) -> None:
    assert word in text_of(await ask(question, language))


async def test_a_language_that_is_no_text_is_none() -> None:
    assert "mínima" in text_of(await explainer().explain("tarifa", {"language": ["en"]}))


def test_what_it_says_can_be_asked_of_a_vehicle_is_what_the_clerk_reads() -> None:
    for feature in KNOWLEDGE.features:
        assert read_features(fold(f"un taxi con {feature['es']}")).wished == (feature["es"],), feature


def test_what_it_says_is_not_taken_is_what_the_clerk_refuses() -> None:
    (told,) = [step.content["es"] for step in KNOWLEDGE.topic("payment").steps if "no recibimos" in step.title["es"]]
    refused = {name for _, name in _REFUSED}

    assert {"Bre-B", "PSE", "código QR", "vale", "cheque", "PayPal", "criptomonedas", "moneda extranjera"} <= refused
    listed = told.partition("No recibimos ")[2].partition(".")[0].replace(" ni ", ", ").split(", ")
    assert set(listed) <= refused


def test_no_amount_stands_in_the_texts() -> None:
    texts = [text for topic in KNOWLEDGE.topics for step in topic.steps for text in step.content.values()]

    assert not [text for text in texts if re.search(r"\d[.,]\d{3}|\d pesos", text)]


@settings(max_examples=60)
@given(question=st.text(max_size=200), language=st.none() | st.text(max_size=5) | st.integers())
async def test_whatever_is_asked_there_is_an_explanation(question: str, language: object) -> None:
    explanation = await explainer().explain(question, {"language": language})

    assert explanation.steps

"""What an agent asked last, in any model's words."""

import pytest

from app.evals.questions import topic_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("¡Hola! Bienvenido a tu central de taxis en Barranquilla. ¿Necesitas un taxi?", "taxi"),
        ("¡Claro! ¿En qué dirección te recogemos?", "address"),
        ("Por favor, dime la dirección exacta donde te encuentras.", "address"),
        ("¿Dónde quieres que te recoja el taxi?", "address"),
        ("¿Cuál es la dirección de recogida? Por ejemplo: Calle 72 #43-25, barrio El Prado.", "address"),
        ("Listo, Calle 72 #43-25. ¿En qué barrio queda?", "neighborhood"),
        ("¿Y en qué barrio queda la dirección Calle 72 #43-25?", "neighborhood"),
        ("¿En qué dirección y barrio te recogemos?", "address"),
        ("¿Miramar de Barranquilla o Puerto Colombia?", "city"),
        ("¿En qué municipio queda?", "city"),
        ("¿Cómo vas a pagar: efectivo, Nequi, Daviplata o tarjeta?", "payment"),
        ("¿Cuál será tu forma de pago?", "payment"),
        ("¿Necesitas algo especial para el viaje, como baúl grande o viajar con mascota?", "specials"),
        ("¿Alguna observación para el conductor?", "specials"),
        ("Te recogemos en Calle 72 #43-25, El Prado; pagas en efectivo. ¿Confirmas el taxi?", "confirm"),
        ("Entonces es Calle 72 #43-25, El Prado, y pagas con Nequi. ¿Es correcto?", "confirm"),
        ("Para enviarlo necesito que me confirmes. Te recogemos en El Prado. ¿Sí o no?", "confirm"),
        ("¿Qué quieres cambiar: la dirección, el pago o la nota para el conductor?", "change"),
        ("¿Es la esquina de Calle 72 con Carrera 43, o falta el número de la placa?", "corner"),
        ("¿Cuál es la dirección: Calle 72 #43-25 o Carrera 72 #43-25?", "which_address"),
        ("¿La dirección es Calle 72 #43-25?", "check_address"),
        ("¿Con qué calle o carrera cruza la Calle 72, y cuál es el número?", "address"),
        ("¿Quieres que te pase con una persona?", "person"),
        ("¿A nombre de quién va el servicio?", "name"),
        ("¿Hacia dónde vas?", "destination"),
        ("¿Cuántas personas viajan?", "passengers"),
        ("¿Para qué hora lo necesitas?", "when"),
        ("Sure! At which address do we pick you up?", "address"),
        ("Which neighbourhood is that in?", "neighborhood"),
        ("How will you pay: cash, Nequi, Daviplata or card?", "payment"),
        ("Do you need anything special, such as a large boot?", "specials"),
        ("We pick you up at Calle 72 #43-25. Shall I book it?", "confirm"),
        ("What would you like to change: the address, the payment or the note?", "change"),
        ("Where are you going?", "destination"),
        ("Do you need a taxi?", "taxi"),
        ("Claro, aquí te espero.", None),
        ("¡Listo! Tu taxi va en camino.", None),
        ("", None),
    ],
)
def test_the_last_question_tells_what_is_asked(text: str, topic: str | None) -> None:
    assert topic_of(text) == topic


@pytest.mark.parametrize("text", ["¿" * 4000, "?" * 4000, "a " * 2000, "calle 7 o " * 400 + "?", "\0🚕"])
def test_any_text_at_all_is_read(text: str) -> None:
    topic_of(text)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.taxi.reading.unfinished import is_unfinished

pytestmark = pytest.mark.unit

UNFINISHED = """
calle setenta y dos
calle 72
Calle 72.
la calle setenta y dos número
calle 72 número
calle 72 No.
calle 72 #
calle 72 numeral
calle 72 número 43
calle setenta y dos número cuarenta y tres
calle setenta y dos número cuarenta y
calle 72 número 43 guion
Calle 72 # 43-
calle 72 43
carrera 51b
carrera 51b con
carrera cincuenta y uno b con
carrera 51b con calle
la 72 con
diagonal 48 número
transversal 3 sur número 45
vía 40
vía cuarenta con
circunvalar con
murillo con
en la murillo con la
carrera 43 entre 70 y
calle 30 con carrera
kilómetro
quiero un taxi en la
quiero un taxi en
quiero un taxi para
necesito un taxi en la calle
necesito un taxi en la carrera 17
necesito
buenas, necesito un taxi para el
estoy en
estoy en la
estoy en el barrio
estoy frente a
estoy diagonal al
al lado de la
cerca de
recójame en
voy para
voy para el
quiero ir a
quiero ir
de la calle 72 número 43 25 a la carrera
de la calle 72 número 43 25 a la
me llamo
mi nombre es
mi teléfono es
mi teléfono es el 300
mi celular es trescientos cuatro doscientos
tres cero cero cuatro cinco seis
mi número es el 3 0 0
es para mañana a las
mañana a las
somos
pago con
voy a pagar
en efectivo y
sí pero
sí, pero es que
no, es que
no, la
el apartamento
conjunto
edificio
apartamento 302 torre
y
eh
ehh
emm
mmm
pues
este
bueno, eh
o sea
sí, eh
a ver
espere
un momento
carrera 43, perdón
quiero un taxi en la...
sí…
Calle 72,
""".strip().splitlines()

FINISHED = """
sí
Sí.
sí señor
sí claro
no
No, gracias.
no gracias
no señora nada más
listo
dale
correcto
así es
ajá
mhm
gracias
muchas gracias
en efectivo
Pago en efectivo,
El barrio es el Prado,
efectivo
con Nequi
por Nequi
con tarjeta
hola
hola, buenas tardes
quiero un taxi
necesito un taxi por favor
un taxi
calle 72 número 43 25
Calle 72 #43-25
calle setenta y dos número cuarenta y tres veinticinco
carrera 51b número 80 120
calle 72 número 43 25 apartamento 302
calle 72 número 43 25 en el prado
calle 84 con carrera 51b
calle 72 con 43
calle 72 con carrera 43 esquina
carrera 43 entre 70 y 72
quiero un taxi en la calle 72 número 43 25
necesito un taxi de la calle 72 número 43 25 al aeropuerto
calle 30 hasta el aeropuerto
voy para el centro comercial Buenavista
al aeropuerto
en el prado
barrio El Prado
estoy en Buenavista
estoy en el Éxito de la 72
en villa del este
kilómetro 5 vía al mar
me llamo Andrés
a nombre de María Pérez
mi teléfono es 300 123 4567
tres cero cero uno dos tres cuatro cinco seis siete
somos dos
dos
treinta y ocho
con aire acondicionado
a las ocho de la noche
mañana a las ocho
ya mismo
lo más pronto posible
cancelar
cancele el taxi
¿cuánto cuesta?
¿cuánto se demora?
¿Y eso a qué hora llega el de?
¿dónde está mi taxi?
dónde está
ahí está
es para mí
es para él
yo creo que sí
sí, así está
no sé
no sé qué barrio es
no, no lo quiero
mañana te digo
para allá voy
al frente
está al lado
eso es
apartamento 302
torre 2
cuarenta y tres veinticinco
43 25
""".strip().splitlines()


def test_the_table_is_long_enough() -> None:
    assert len(UNFINISHED) + len(FINISHED) >= 80


@pytest.mark.parametrize("text", UNFINISHED)
def test_who_trails_off_has_more_to_say(text: str) -> None:
    assert is_unfinished(text)
    assert is_unfinished(text.upper())


@pytest.mark.parametrize("text", FINISHED)
def test_whole_sentences_are_finished(text: str) -> None:
    assert not is_unfinished(text)
    assert not is_unfinished(text.upper())


def test_nothing_is_finished() -> None:
    assert not is_unfinished("")
    assert not is_unfinished(" \n")


@given(st.text(max_size=400))
def test_it_takes_any_text(text: str) -> None:
    assert is_unfinished(text) in (True, False)


def test_what_was_said_long_before_says_nothing() -> None:
    assert is_unfinished("calle 72 número 43 25. " * 1000 + "quiero un taxi en la")
    assert not is_unfinished("quiero un taxi en la " * 1000 + "calle 72 número 43 25")

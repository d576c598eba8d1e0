"""How riders mean to pay."""

import pytest

from app.taxi.reading import read_slots
from tests.unit.taxi.reading.tables import lines, pairs

pytestmark = pytest.mark.unit

PAYMENTS = """
efectivo => efectivo
en efectivo => efectivo
pago en efectivo => efectivo
pago con efectivo por favor => efectivo
en cash => efectivo
cash => efectivo
plata => efectivo
en plata => efectivo
pago con plata en mano => efectivo
de contado => efectivo
con billete => efectivo
pago con un billete de 50 => efectivo
efetivo => efectivo
efectibo => efectivo
en efectvo => efectivo
fectivo => efectivo
cancelo en efectivo => efectivo
le cancelo en efectivo al llegar => efectivo
voy a pagar en efectivo => efectivo
nequi => nequi
con nequi => nequi
Nequi! => nequi
pago con nequi => nequi
por neki => nequi
nekui => nequi
nequy => nequi
con neqi => nequi
con el nequi => nequi
por nequi por favor => nequi
pago nequi => nequi
transferencia por nequi => nequi
te hago transferencia a nequi => nequi
ne qui => nequi
¿puedo pagar con nequi? => nequi
puedo pagar con nequi => nequi
un taxi que reciba nequi => nequi
necesito un taxi que acepte nequi => nequi
daviplata => daviplata
davi plata => daviplata
por davi => daviplata
pago con daviplta => daviplata
con dabiplata => daviplata
david plata => daviplata
tarjeta => tarjeta
con tarjeta => tarjeta
con tarjeta de crédito => tarjeta
tarjeta debito => tarjeta
pago con débito => tarjeta
crédito => tarjeta
pago con visa => tarjeta
mastercard => tarjeta
con datáfono => tarjeta
un taxi con data fono => tarjeta
que tenga datáfono => tarjeta
targeta => tarjeta
con tarjera => tarjeta
tarjeta no, mejor efectivo => efectivo
tarjeta no mejor efectivo => efectivo
no tengo efectivo, pago con nequi => nequi
no tengo efectivo pago con nequi => nequi
no efectivo nequi => nequi
no, mejor con nequi => nequi
no mejor nequi => nequi
no, nequi => nequi
efectivo no, nequi => nequi
efectivo, no, perdón, nequi => nequi
efectivo mejor nequi => nequi
ya no con efectivo, con daviplata => daviplata
cambia el pago a nequi => nequi
cambia de efectivo a nequi => nequi
cambie efectivo por nequi => nequi
en vez de nequi efectivo => efectivo
no es nequi es daviplata => daviplata
no es nequi sino efectivo => efectivo
prefiero nequi que efectivo => nequi
sin tarjeta, en efectivo => efectivo
pago en efectivo, no con tarjeta => efectivo
bueno entonces en efectivo => efectivo
sí, pero con nequi => nequi
nequi no tengo, efectivo => efectivo
¿reciben bitcoin? si no, pago en efectivo => efectivo
"""


NO_PAYMENTS = """
necesito un taxi
calle 72 # 43-25
¿reciben nequi?
reciben nequi
aceptan tarjeta
¿tienen datáfono?
¿cuánto vale la carrera?
efectivo o nequi
nequi o daviplata
mitad en efectivo mitad en nequi
no nequi
sin tarjeta
no tengo efectivo
no tengo plata
el efecto invernadero
barrio La Plata
la transparencia
edificio Visa Real
voy por la calle 30
quien viene
aqui en la 72
a nombre de David
me llamo Davinson
mi hermano debe plata a la tienda de la calle 30
"""


REFUSED = """
pago con bitcoin => bitcoin
con un vale => vale
tengo un vale corporativo => vale
con cheque => cheque
a crédito => a crédito
me lo fía => None
fiado => a crédito
por Bre-B => Bre-B
con bre b => Bre-B
con llave => Bre-B
transferencia => transferencia
por transferencia => transferencia
pago con transferencia bancolombia => transferencia
te transfiero => transferencia
en dólares => moneda extranjera
con paypal => PayPal
¿reciben bitcoin? => bitcoin
¿reciben transferencias? => transferencia
cuánto vale => None
vale => None
vale la pena => None
me vale => None
mi llave un taxi => None
bitcoin no, nequi => None
pago con transferencia o efectivo => None
"""


@pytest.mark.parametrize(("text", "expected"), pairs(PAYMENTS))
def test_a_way_to_pay_is_read_by_any_of_its_names(text: str, expected: str) -> None:
    found = read_slots(text)

    assert found.payment_method == expected
    assert found.refused_payment is None


@pytest.mark.parametrize("text", lines(NO_PAYMENTS))
def test_a_question_a_denial_or_a_lookalike_chooses_no_payment(text: str) -> None:
    found = read_slots(text)

    assert found.payment_method is None
    assert found.refused_payment is None


@pytest.mark.parametrize(("text", "expected"), pairs(REFUSED))
def test_what_is_not_accepted_is_named(text: str, expected: str) -> None:
    assert str(read_slots(text).refused_payment) == expected

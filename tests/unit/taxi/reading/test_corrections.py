"""Whether riders change something said."""

import pytest

from app.taxi.reading import Intent, corrects, intents, is_no, is_yes
from tests.unit.taxi.reading.tables import rows

pytestmark = pytest.mark.unit

CORRECTIONS = """
no, es la 80|no es la 80|no, mejor con nequi|no mejor con nequi|cambia la dirección|cambie el destino
quiero cambiar la dirección|me equivoqué|perdón, me equivoqué|perdón, carrera 50|perdon carrera 50 numero 20
no, la calle 84|no la 84|no, calle 80|no carrera 46|no, con efectivo|no con nequi|no, en efectivo|está mal
la dirección está mal|dirección incorrecta|eso no es|no es esa|no es esa dirección|no, esa no es|mejor efectivo
mejor con tarjeta|mejor en la 84|sí, pero con nequi|si pero la 80|corrige la dirección|quise decir 43
no, quise decir carrera|no perdón es la 80|no, perdón, la 80|no era 43 era 53|no señor es la 51b
en vez de nequi efectivo|no, somos cuatro|no 43 25|no, 43-25|eche no es la 80|actually it's calle 80
change the address|no, barrio El Prado|no, voy para el centro|disculpa, es la 50|modifica el pago
agrega que llevo un perro|quita el baúl|no es nequi sino efectivo|no, nequi
"""


NOT_CORRECTIONS = """
no|no gracias|nada más|así está bien|sí|sí confirmo|no sé|no entendí|no te entiendo|perdón no escuché
disculpe buenas tardes|perdón|hola|necesito un taxi|calle 72 43 25|calle 72 no 43 25|no es necesario|no por ahora
no por favor|mejor no|no mejor no|gracias|no, eso es todo|no es nada|cuánto vale|nequi|con nequi|no, no es necesario
no para nada
"""


@pytest.mark.parametrize("text", rows(CORRECTIONS))
def test_a_correction_is_one_and_neither_yes_nor_no(text: str) -> None:
    assert corrects(text)
    assert not is_yes(text)
    assert not is_no(text)
    assert Intent.CORRECTION in intents(text)


@pytest.mark.parametrize("text", rows(NOT_CORRECTIONS))
def test_what_replaces_nothing_is_no_correction(text: str) -> None:
    assert not corrects(text)

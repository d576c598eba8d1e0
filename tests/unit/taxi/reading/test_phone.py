"""Mobile numbers as riders give them."""

import pytest

from app.taxi.reading import read_slots
from tests.unit.taxi.reading.tables import pairs

pytestmark = pytest.mark.unit

PHONES = """
3001234567 => 3001234567
mi celular es 300 123 4567 => 3001234567
+57 300 123 4567 => 3001234567
+573001234567 => 3001234567
(300) 123-4567 => 3001234567
300-123-45-67 => 3001234567
300 12 34 567 => 3001234567
tres cero cero uno dos tres cuatro cinco seis siete => 3001234567
trescientos doce cuatro cincuenta y seis setenta y ocho noventa y uno => 3124567891
trescientos quince ocho ocho ocho veinte treinta => 3158882030
6053001234 => None
30012345678 => None
300123456 => None
calle 72 # 43-25 => None
calle 72 numero 43 25 => None
"""


@pytest.mark.parametrize(("text", "expected"), pairs(PHONES))
def test_mobile_numbers_are_read_written_or_spoken(text: str, expected: str) -> None:
    assert str(read_slots(text).phone) == expected

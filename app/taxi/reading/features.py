"""What a rider asks of the vehicle: «con parrilla», «una camioneta»."""

import re
from collections.abc import Iterator

from app.taxi.reading.wishes import Mention, WishReading, is_part_of_place, read_wishes, table

_FEATURES: tuple[tuple[str, str], ...] = (
    (
        r"(?:baul(?:era)?s?|maleter[oa]s?|cajuela)(?: (?:bien )?(?:grande|amplio|espacioso|libre|vacio|"
        r"desocupado))?|espacio (?:para|pa) (?:las |mis |unas |el )?(?:maletas|"
        r"equipaje)|big trunk|large trunk", "baúl grande"),
    (r"parrilla|portaequipajes?|porta equipajes?|portamaletas|roof rack", "parrilla"),
    (
        r"(?:(?<!zona )de |para |llevo |con |llevar |una )carga(?! del? (?:celular|telefono|bateria))|acarreos?|"
        r"trasteos?|mudanza|(?:taxi|carro) (?:de )?carga", "carga"),
    (r"camionetas?|duster|minivan|mini van|\bvan\b(?! a\b| al\b| para\b| hasta\b| por\b| en\b)|\bsuv\b", "camioneta"),
    (
        r"porta ?-?bici(?:cleta)?s?|(?:espacio |que quepa |quepa |cupo |soporte )(?:para |pa )?(?:la |una |"
        r"mi )?bici(?:cleta)?s?|bike rack", "portabicicleta"),
    (r"aire acondicionado|aire(?! libre)\b|air conditioning|con a/?c\b", "aire acondicionado"),
    (
        r"(?:silla|sillita|asiento|silleta) (?:de|para|del|pa) (?:el |la |un |mi )?(?:bebe|nin[oa]s?|carro|infante|"
        r"nene)|(?:silla|asiento) infantil|car seat|baby seat", "silla de bebé"),
    (
        r"accesible|adaptado|con rampa|(?:taxi|carro|vehiculo) para (?:una )?(?:silla de ruedas|discapacitad\w+|"
        r"persona con discapacidad)|que quepa (?:la|una) silla de ruedas|wheelchair accessible", "accesible"),
    (
        r"(?:carro|taxi|vehiculo) (?:bien )?(?:grande|amplio|espacioso|comodo)|"
        r"no (?:\w+ ){0,3}zapatico", "vehículo amplio"),
    (r"(?:carro|taxi|vehiculo) (?:nuevo|ultimo modelo)", "vehículo nuevo"),
)  # fmt: skip

_FEATURE = re.compile(rf"\b(?:{table(_FEATURES, 'f')})(?!\w)")

_SURE = frozenset({"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"})


def read_features(folded: str) -> WishReading:
    """Read the features that a sentence asks of the vehicle."""
    return read_wishes(folded, _mentions(folded))


def _mentions(folded: str) -> Iterator[Mention]:
    for match in _FEATURE.finditer(folded):
        group = match.lastgroup or "f0"
        if group in _SURE or not is_part_of_place(folded[max(0, match.start() - 30) : match.start()]):
            yield Mention(*match.span(), _FEATURES[int(group[1:])][1])

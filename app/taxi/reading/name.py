"""For whom the taxi is: «me llamo Ana», «a nombre de Carlos Pérez»."""

import re
from typing import NamedTuple

from app.taxi.reading.numbers import NUMBERS
from app.taxi.text import word_set

_NAME_AFTER = re.compile(
    r"\b(?P<sure>me llamo|mi nombre es|mi nombre|a nombre de(?:l senor|l| la senora| la senorita)?|de parte de|"
    r"(?:el |la |del )?pasajer[oa] (?:es|se llama)|(?<!barrio )(?<!^)se llama|"
    r"nombre del? pasajer[oa](?: es)?|nombre[:=]|soy(?= soledad\b)|pregunt\w+ por|"
    r"(?:es|taxi|servicio|carrera|carro) para (?:el senor|la senora|la senorita|don|dona|el doctor|"
    r"la doctora)|my name is|under the name)\W{1,3}"
    r"|\b(?P<likely>soy|habla|le habla|te habla|con|es para|this is|i'?m)\W{1,2}"
)
_NAME_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_TITLES = word_set("""
senor senora senorita don dona doctor doctora dr dra sr sra ing ingeniero profesor profesora
""")
_PARTICLES = frozenset(["de", "del", "la", "las", "los", "san", "y"])
_NOT_A_NAME = word_set("""
a al ante con contra desde en entre hacia hasta para pa por segun sin sobre y e o u ni pero que si no ya el ella lo le
un una unos unas mi mis tu su este esta ese esa eso esto yo usted es son soy somos estoy esta estamos estan voy vamos
va pago pagare pagar cancelo necesito quiero quisiera deseo mandame manda mande envia envie recogeme recojan recoger
llevo llevamos vivo tengo calle carrera cra cll cl kra kr cr avenida av diagonal transversal via barrio edificio
conjunto torre apto apartamento casa taxi servicio carro efectivo nequi daviplata tarjeta gracias favor porfa hola
buenas buenos ahora manana hoy aqui aca alla cliente usuario pasajero pasajera turista extranjero nuevo nueva de
hombre mujer mayor alergico alergica sordo sorda ciego ciega discapacitado estudiante empleado mejor siempre solo sola
como cuando donde cuanto quien cual muy bien mal tel telefono celular numero cel listo dale ok cedula the and from at
in please going need una dos tres cuatro cinco seis siete ocho nueve diez asi mas menos persona personas alguien otro
otra ninguno nadie tambien porque aeropuerto terminal centro soledad espera favor llamame llame llamen somos viajo bosco
""")
_GIVEN_NAMES = word_set("""
maria jose juan carlos luis jorge ana luz andres pedro pablo diego david daniel felipe santiago sebastian camilo
camila laura paula diana sandra monica claudia patricia martha marta gloria rosa carmen adriana alejandro alejandra
alvaro alberto alfredo amparo angel angela angie antonio armando arturo astrid beatriz bernardo brayan camila carolina
catalina cecilia cesar cristian cristina christian daniela deisy deivis dayana edgar edinson eduardo edwin elena elias
elkin elizabeth emilio enrique erika ernesto esteban esther eva fabian fabio fernando francisco gabriel gabriela
german gerardo gilberto giovanni guillermo gustavo hector henry hernan hernando hugo humberto ignacio ingrid irene
isabel isabella ivan jaime jairo javier jennifer jesus jhon john johana johanna jonathan joaquin jose juana juliana
julian julieta julio karen karina katherine kelly kevin leidy leonardo leonor liliana lina lorena lucia lucas luisa
manuel marcela marco margarita mariana marina mario marlon marlene martin mateo mauricio mayra melissa mercedes miguel
milena miriam nancy natalia nelson nestor nicolas nicole norma nubia olga omar orlando oscar pamela paola rafael ramon
raul ricardo roberto rocio rodrigo rosario ruben salvador samuel sara sergio silvia simon sofia sonia stephanie susana
teresa tomas valentina valeria vanessa veronica vicente victor victoria viviana wilson william wilmer yadira yamile
yasmin yesica yesenia yolanda yuliana zulma john jane mike peter michael james sarah
""")
_LONGEST_NAME = 5


class NameReading(NamedTuple):
    """What a sentence says about for whom the taxi is."""

    name: str | None
    spans: tuple[tuple[int, int], ...]


def read_name(text: str, folded: str) -> NameReading:
    """Read the passenger's name, written as the sentence writes it or with capitals."""
    for match in _NAME_AFTER.finditer(folded):
        found = _name_at(text, folded, match.end(), sure=match["sure"] is not None)
        if found:
            name, end = found
            return NameReading(name, ((match.start(), end),))
    return NameReading(None, ())


def _name_at(text: str, folded: str, position: int, *, sure: bool) -> tuple[str, int] | None:
    """Read a name from a position on; unless ``sure`` its first word must look like a name."""
    words: list[str] = []
    end = position
    while len(words) < _LONGEST_NAME:
        match = _NAME_WORD.match(text, position)
        if match is None:
            break
        plain = folded[match.start() : match.end()]
        if plain in _TITLES and not words:
            position = _after_space(text, match.end(), ". ")
            continue
        if plain in _PARTICLES and words:
            rest = _NAME_WORD.match(text, _after_space(text, match.end()))
            follows = folded[rest.start() : rest.end()] if rest else ""
            if (
                plain == "y"
                or not follows
                or (follows in _NOT_A_NAME and follows not in _PARTICLES)
                or follows in NUMBERS
            ):
                break
            words.append(plain)
        elif (
            (plain in _NOT_A_NAME and not (sure and plain == "soledad"))
            or plain in NUMBERS
            or len(plain) < 2
            or (not words and not sure and plain not in _GIVEN_NAMES)
        ):
            break
        else:
            written = match.group()
            words.append(written if written[:1].isupper() and not written.isupper() else written.capitalize())
        end = match.end()
        position = _after_space(text, end)
        if position == end:
            break
    while words and words[-1] in _PARTICLES:
        words.pop()
    return (" ".join(words), end) if words else None


def _after_space(text: str, position: int, skipped: str = " ") -> int:
    while position < len(text) and text[position] in skipped:
        position += 1
    return position

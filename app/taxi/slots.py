"""What a rider says beside the pick-up address.

Payment, vehicle, notes for the driver, name, number of passengers, time, destination and telephone number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from app.taxi.destinations import find_destinations, find_marked_afterwards
from app.taxi.payments import PaymentMethod, read_payment
from app.taxi.text import blank, compose, fold, word_set
from app.taxi.times import NUMBER, NUMBERS, number, read_when

DESTINATION = "destino"
"""What `Slots.removed` calls a destination that was taken back."""


@dataclass(frozen=True, slots=True)
class Slots:
    """What one sentence of a rider says, apart from the pick-up address."""

    payment_method: PaymentMethod | None = None
    refused_payment: str | None = None
    """A means of payment that is not accepted, by the name to show."""
    vehicle_features: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """For the driver, in the third person."""
    passenger_name: str | None = None
    passengers: int | None = None
    when: str | None = None
    """«ahora», «07:00», «mañana 19:30», «en 30 minutos»; «a las 7:00» where the half of the day was not said."""
    destination: str | None = None
    """As it was said."""
    goes_there: bool = False
    """The place said before is where the ride goes: «ahí es para donde voy»."""
    phone: str | None = None
    """A Colombian mobile number, ten digits."""
    removed: tuple[str, ...] = ()
    """Features, notes, payment methods and `DESTINATION` that the sentence takes back."""


# What is said -> what is written down. Features are asked of the vehicle; notes are what the driver should know.

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

_WITH = (
    r"(?:\b(?:llev\w+|traig\w+|traje|trae\w*|tra[ei]go|carg\w+|viaj\w+|voy|vamos|va|ando|andamos|tengo|tenemos|con|"
    r"mas|y|e|acept\w+|permit\w+|admit\w+|sin|no|mi|mis|es|somos|ademas|tambien|have|with|para|pa|de|"
    r"quit\w+)\W{1,3}(?:\w+\W{1,2}){0,3}?)"
)
_NOTES: tuple[tuple[str, str], ...] = (
    (
        r"perros? (?!caliente)(?:guia)?|perr[oa]s?(?! caliente)|perrit[oa]s?|gat[oa]s?|gatic[oa]s?|"
        r"gatit[oa]s?|mascot[ai]c?s?|mascotas?|mascotica|cachorr\w+|conej[oa]s?|"
        r"pajarit[oa]s?|loro|lora|dog|cat|pet", "Pasajero lleva mascota"),
    (
        r"maletas?|maletic?as?|maletin(?:es)?|equipajes?|bultos?|valijas?|luggage|"
        r"suitcases?|bags", "Pasajero lleva equipaje"),
    (r"mercado(?! de)|compras del (?:mes|mercado|supermercado)", "Pasajero lleva mercado"),
    (r"paquetes?|cajas?(?! de cambios)|encomiendas?", "Pasajero lleva paquetes"),
    (r"(?:bicicletas?|bicis?|cicla)", "Pasajero lleva bicicleta"),
    (r"coche(?:cito)?(?: (?:de|para|del) (?:el )?(?:bebe|nin[oa]))?|stroller", "Pasajero lleva coche de bebé"),
    (
        r"bebes?|nin[oa]s?|nen[eai]s?|pelait[oa]s?|pelaos?|recien nacid[oa]|hij[oa]s? pequen\w+|kids?|bab(?:y|ies)|"
        r"child(?:ren)?", "Pasajero viaja con niños"),
    (
        r"adult[oa]s? mayor(?:es)?|personas? mayor(?:es)?|abuel(?:o|a|it[oa])s?|ancian[oa]s?|viejit[oa]s?|"
        r"tercera edad|elderly", "Pasajero viaja con adulto mayor"),
    (r"muletas?|baston(?:es)?|caminador(?:es)?|crutches", "Pasajero usa muletas o caminador"),
    (
        r"guitarra|acordeon|tambor(?:es)?|instrumentos?(?: musical(?:es)?)?|bafles?|"
        r"parlantes?", "Pasajero lleva instrumento musical"),
    (
        r"never[ai]\w*|lavadora|colchon(?:es)?|televisor(?:es)?|muebles?|estufa|escaparate|electrodomesticos?|"
        r"aire acondicionado nuevo", "Pasajero lleva objetos voluminosos"),
    (r"enferm[oa]s?|paciente|recien operad[oa]|convaleciente", "Pasajero viaja con una persona enferma"),
)  # fmt: skip
_SAID_ANYWHERE: tuple[tuple[str, str], ...] = (
    (r"silla de ruedas|wheelchair", "Pasajero usa silla de ruedas"),
    (r"pet ?-?friendly", "Pasajero lleva mascota"),
    (r"senor(?:es|as?)? mayor(?:es)?", "Pasajero viaja con adulto mayor"),
    (r"(?:embarazad[ao]|en (?:estado de )?embarazo|pregnant)", "Pasajera embarazada"),
    (r"movilidad reducida|no puedo caminar bien|camino (?:con dificultad|despacio)", "Pasajero con movilidad reducida"),
    (
        r"(?:soy |somos |es )?(?:sord[oa]s?|sordomud[oa]s?)|no (?:oigo|escucho) bien",
        "Pasajero con discapacidad auditiva"),
    (r"(?:soy |es )?(?:cieg[oa]|invidente)|no veo bien|baja vision", "Pasajero con discapacidad visual"),
    (r"(?:con |en condicion de |tengo una )?discapacidad|discapacitad[oa]s?", "Pasajero con discapacidad"),
    (
        r"(?:me )?(?:llam(?:en|e|a|enme|eme|ame|ar|arme|as)|marqu\w+|timbr\w+ al (?:celular|telefono)|"
        r"repiqu\w+)(?: (?:por favor|al (?:celular|telefono|\d+)|me))*(?: (?:al|cuando|en cuanto|apenas|"
        r"antes de) (?:llegar|llegue[ns]?|este[ns]? (?:aqui|abajo|afuera|llegando|cerca)|venga|bajar|lleguen))|"
        r"call me when|call (?:me )?(?:on|upon) arriv\w+", "Llamar al llegar"),
    (
        r"(?:avis\w+|me avisa\w*)(?: me)? (?:al|cuando|en cuanto|apenas) (?:llegar|"
        r"llegue[ns]?|este[ns]? \w+)", "Avisar al llegar"),
    (
        r"(?:escrib\w+|mand\w+ (?:un )?mensaje|whats?app)(?: \w+){0,3}? (?:al llegar|cuando (?:llegue[ns]?|"
        r"este[ns]? \w+))", "Escribir al llegar"),
    (r"no (?:(?:me|se|vaya[ns]?|ponga[ns]?|a) )*(?:pit\w+|toque\w* (?:el pito|la corneta))", "No pitar"),
    (r"(?:que )?(?:pit(?:e|en|a|ar|enme|ame)\b(?! a)|toqu\w+ (?:el pito|la corneta|bocina))", "Pitar al llegar"),
    (r"no (?:toque\w*|timbre\w*) (?:el timbre)?", "No timbrar"),
    (r"(?:toqu\w+ (?:el )?timbre|timbr(?:e|en|ar|enme)\b)", "Timbrar al llegar"),
    (r"(?:anunci\w+|preguntar?|identifi\w+)(?: \w+)? en (?:la )?(?:porteria|recepcion)", "Anunciarse en la portería"),
    (
        r"(?:(?:lo |los |te |le )?espero|esperando|estare|estoy|salgo|bajo) (?:afuera |abajo )?(?:en|"
        r"a) (?:la )?porteria", "Pasajero espera en la portería"),
    (
        r"(?:(?:lo |los |te |le )?espero|esperando|estare|"
        r"estoy) (?:en )?(?:la )?esquina", "Pasajero espera en la esquina"),
    (
        r"(?:tengo|con|de|mucho|ando de|llevo) (?:mucho |mucha |much[ao] )?(?:afan|prisa|carrera mija)|(?:voy|"
        r"estoy) (?:tarde|retrasad[oa]|atrasad[oa])|i'?m late", "Pasajero tiene prisa"),
    (
        r"(?:maneje|conduzca|vaya|ande|manejen)(?: \w+)? (?:despacio|suave|con cuidado|con calma|prudente)|"
        r"sin correr|que no corra", "Conducir despacio"),
    (
        r"(?:conductora|mujer conductora|que (?:sea|maneje) una? (?:mujer|dama|"
        r"senora)|chofer mujer|taxista mujer)", "Pasajero prefiere conductora"),
    (r"ida y (?:vuelta|regreso)|round trip", "Viaje de ida y vuelta"),
    (r"(?:con|hacer|hago|hacemos|haciendo) (?:una )?(?:parada|escala)", "Con una parada en el camino"),
)  # fmt: skip

_CHANGE = re.compile(
    r"\b(?:billetes? de|cambio de|vueltas? de|devuelta de|vuelto de|sencillo de|cambio para|con uno de) (?:un |"
    r"una? )?(?P<note>20|50|100|veinte|cincuenta|cien)(?:\.?000|\s?mil|\b)"
)
_CHANGE_WORTH = {
    **dict.fromkeys(("20", "veinte"), "20.000"),
    **dict.fromkeys(("50", "cincuenta"), "50.000"),
    **dict.fromkeys(("100", "cien"), "100.000"),
}


def _table(entries: tuple[tuple[str, str], ...], kind: str) -> str:
    return "|".join(f"(?P<{kind}{index}>{pattern})" for index, (pattern, _) in enumerate(entries))


_FEATURE = re.compile(rf"\b(?:{_table(_FEATURES, 'f')})(?!\w)")
_NOTE = re.compile(rf"\b(?:{_table(_SAID_ANYWHERE, 's')}|{_table(_NOTES, 'n')})\b")
_CARRIED = re.compile(_WITH + r"$")
_BEFORE_PLACE = re.compile(
    r"\b(?:veterinaria|tienda|almacen|local|frente a(?:l)?|lado de(?:l)?|diagonal a(?:l)?|cerca de(?:l)?|parque|"
    r"colegio|clinica|hospital|centro|barrio|plaza|casa|hogar|jardin|restaurante|edificio|salon|negocio"
    r"|fundacion|calle|de|del)\W+(?:(?:de|del|la|las|los|el)\W+)*$"
)
_TAKEN_BACK = re.compile(
    r"\b(?:(?:ya )?no (?!,)(?:(?:me|te|le|lo|se|yo|voy|vamos|va|a|llev\w+|traig\w+|tengo|necesit\w+|quiero|queremos|"
    r"es|sea|hace|falta|requiero|importa|uso|viajo|pido|pongas?|pedir|ir|van?|quiera|hay)\W+)*"
    r"|sin|quit\w+|borr\w+|elimin\w+|ni|olvid\w+|cancel\w+)\W{0,2}(?:(?:con|el|la|los|las|un|una|unos|unas|mi|mis|"
    r"lo|del?|ningun|ninguna|tanto|tanta|nota|a|que|para|hacia|de)\W+){0,4}$"
)
_TAKEN_BACK_AFTER = re.compile(r"^\W{0,2}(?:ya )?no\b(?=\W*$|\W*[,.;]|\W+(?:hace|es|va|necesito|quiero|llevo|mejor))")

# Names.

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

# Passengers and phone.

_PEOPLE = r"(?:personas?|pasajer[oa]s?|adult[oa]s?|gente|amig[oa]s|people|passengers?)"
_PASSENGERS = re.compile(
    rf"\b(?:somos|vamos|viajamos|iremos|seremos|van|seriamos|we are|we're)(?: (?:como|a ser|unos|unas|en total|"
    rf"los)){{0,3}} (?P<are>(?!una? (?!persona|pasajer|solo))(?!una?\W*$){NUMBER})"
    r"(?! (?:cuadras|con|minutos|horas|calles|maletas|perros|bloques|numero|#|-))"
    rf"(?: (?P<adults>adult[oa]s?) (?:y|con|mas|,) (?P<children>{NUMBER}) (?:nin|beb|menor|pela|nen)\w+)?"
    rf"|(?<!con )\b(?P<count>{NUMBER}) {_PEOPLE}(?: (?:y|con|mas|,) (?P<more>{NUMBER}) (?:nin|beb|menor|pela|nen)\w+)?"
    rf"|\b(?P<alone>(?:voy|viajo|es|soy|para mi|estoy|vengo|salgo|va) (?:yo )?sol[oa]\b(?! (?:con|que|pago|efectivo|en|"
    rf"una?))|(?:para )?mi sol[oa]|solo (?:yo|voy yo)|yo sol[oa])\b"
    r"|\b(?:taxi|servicio|carro|camioneta) para (?P<for>dos|tres|cuatro|cinco|seis|siete|[2-7])\b"
    r"(?! (?:con (?:calle|carrera|\d)|#|y media|de|pm|am|\d|calle|carrera|horas|minutos))"
    r"|\b(?P<pair>somos (?:mi |el |la )?\w+ y yo|(?:mi \w+ y yo)|yo y mi \w+)\b"
)
_MOST_PASSENGERS = 60
_PHONE = re.compile(
    r"(?<!\d)(?:\(?\+?57\)?[ .-]{0,2})?\(?(3\d{2})\)?[ .-]{0,3}(\d{1,4})[ .-]{0,2}(\d{1,4})(?:[ "
    r".-]{0,2}(\d{1,4}))?(?:[ .-]{0,2}(\d{1,2}))?(?!\d)",
    re.ASCII,
)
_HUNDREDS = {
    "cien": 1, "ciento": 1, "doscientos": 2, "trescientos": 3, "cuatrocientos": 4,
    "quinientos": 5, "seiscientos": 6, "setecientos": 7, "ochocientos": 8, "novecientos": 9,
}  # fmt: skip
_WORD = re.compile(r"[a-z]+|[0-9]+|[^\sa-z0-9]")


def read_slots(text: str) -> Slots:
    """Read what a sentence says, apart from the pick-up address."""
    text = compose(text)
    folded = fold(text)
    return _read(text, folded)[0]


def without_destination(text: str) -> str:
    """Return the sentence, as long as it is, with its destination blanked out: a pick-up can be read from the rest."""
    _, spans = _read(text, fold(text))
    for start, end in spans:
        text = blank(text, start, end)
    return text


def merge(old: Slots, new: Slots) -> Slots:
    """Return what is known after one more sentence: what is said later wins, and what is taken back goes."""
    given = {*new.vehicle_features, *new.notes, new.payment_method, DESTINATION if new.destination else None}
    gone = set(new.removed)

    def united(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*(name for name in before if name not in gone), *after]))

    payment = new.payment_method or (None if old.payment_method in gone else old.payment_method)
    refused = new.refused_payment if new.payment_method or new.refused_payment else old.refused_payment
    return Slots(
        payment_method=payment,
        refused_payment=refused,
        vehicle_features=united(old.vehicle_features, new.vehicle_features),
        notes=united(old.notes, new.notes),
        passenger_name=new.passenger_name or old.passenger_name,
        passengers=new.passengers if new.passengers is not None else old.passengers,
        when=new.when or old.when,
        goes_there=new.goes_there,
        destination=new.destination or (None if DESTINATION in gone else old.destination),
        phone=new.phone or old.phone,
        removed=tuple(dict.fromkeys([*(name for name in old.removed if name not in given), *new.removed])),
    )


@lru_cache(maxsize=64)
def _read(text: str, folded: str) -> tuple[Slots, tuple[tuple[int, int], ...]]:
    """Return the slots of a sentence and where its destinations stand; read once, however many ask in a turn."""
    payment = read_payment(folded)
    time = read_when(folded)
    passengers, passenger_spans = _passengers(folded)
    name, name_spans = _name(text, folded)
    features, notes, removed, wish_spans = _wishes(folded)
    spans = [*payment.spans, *time.spans, *passenger_spans, *name_spans, *wish_spans]
    destinations, taken_back = find_destinations(folded, sorted(_lead(folded, start) for start, _ in spans))
    destination, goes_there = None, False
    blanked = [(found.blank_from, found.end) for found in destinations]
    marked = find_marked_afterwards(folded)
    if marked is not None:
        said = " ".join(text[marked.start : marked.end].split())
        goes_there, destination = not said, said or None
        blanked.append((marked.blank_from, marked.end))
    elif destinations:
        last = destinations[-1]
        destination = last.article + " ".join(text[last.start : last.end].split())
    removed_all = [*payment.removed, *removed]
    if taken_back and not destinations:
        removed_all.append(DESTINATION)
    slots = Slots(
        payment_method=payment.method,
        refused_payment=payment.refused,
        vehicle_features=features,
        notes=notes,
        passenger_name=name,
        passengers=passengers,
        when=time.when,
        destination=destination,
        goes_there=goes_there,
        phone=_phone(folded),
        removed=tuple(dict.fromkeys(removed_all)),
    )
    return slots, tuple(blanked)


_LEAD = re.compile(
    r"(?:\b(?:y|e|pero|para|pa|voy a|quiero|puedo|prefiero|mejor|pago|pagar|pagare|pagando|cancelo|cancelar|el|la|"
    r"los|un|una|mi|mis|con|en|por|a|de|forma|medio|metodo|sera|seria|tengo|no|ni|sin|solo|llevo|llevamos"
    r"|viajo|tambien|que|tenga|sea|somos|es|necesito|soy|ademas|sale|recogeme|recojan|me|varias|varios|muchas|"
    r"muchos|unos|unas|algunas|mucho|(?:con|llevo|llevamos|tengo) (?:dos|tres|cuatro|cinco|\d))\W+)+$"
)


def _lead(folded: str, start: int) -> int:
    """Return where the small words before something start: «y pago con» before «nequi»."""
    before = max(0, start - 40)
    match = _LEAD.search(folded[before:start])
    return before + match.start() if match else start


def _wishes(folded: str) -> tuple[tuple[str, ...], tuple[str, ...], list[str], list[tuple[int, int]]]:
    """Return vehicle features, notes, what is taken back of both, and where all of them stand."""
    state: dict[str, bool] = {}
    features: dict[str, None] = {}
    notes: dict[str, None] = {}
    spans: list[tuple[int, int]] = []
    for start, end, meaning, is_feature in _mentions(folded):
        spans.append((start, end))
        before, after = folded[max(0, start - 40) : start], folded[end : end + 30]
        state[meaning] = not (_TAKEN_BACK.search(before) or _TAKEN_BACK_AFTER.search(after))
        (features if is_feature else notes).setdefault(meaning)
    kept = [name for name, wanted in state.items() if wanted]
    return (
        tuple(name for name in features if name in kept),
        tuple(name for name in notes if name in kept),
        [name for name, wanted in state.items() if not wanted],
        spans,
    )


def _mentions(folded: str) -> Iterator[tuple[int, int, str, bool]]:
    """Yield every feature and note in a sentence: start, end, meaning, whether it is a feature."""
    for match in _FEATURE.finditer(folded):
        if not _BEFORE_PLACE.search(folded[max(0, match.start() - 30) : match.start()]) or match.lastgroup in _SURE:
            yield *match.span(), _FEATURES[int((match.lastgroup or "f0")[1:])][1], True
    for match in _NOTE.finditer(folded):
        kind, index = (match.lastgroup or "s0")[0], int((match.lastgroup or "s0")[1:])
        if kind == "s":
            yield *match.span(), _SAID_ANYWHERE[index][1], False
        elif _is_carried(folded, match.start()):
            yield *match.span(), _NOTES[index][1], False
    for match in _CHANGE.finditer(folded):
        yield *match.span(), f"Llevar cambio para un billete de ${_CHANGE_WORTH[match['note']]}", False


_SURE = frozenset({"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"})


def _is_carried(folded: str, start: int) -> bool:
    """Say whether something is taken along and not part of a place («la tienda de mascotas»)."""
    before = folded[max(0, start - 40) : start]
    if _TAKEN_BACK.search(before):
        return True
    return bool(_CARRIED.search(before) or not before.strip()) and not _BEFORE_PLACE.search(before)


def _name(text: str, folded: str) -> tuple[str | None, list[tuple[int, int]]]:
    """Return the passenger's name and where it stands."""
    for match in _NAME_AFTER.finditer(folded):
        found = _name_at(text, folded, match.end(), sure=match["sure"] is not None)
        if found:
            name, end = found
            return name, [(match.start(), end)]
    return None, []


def read_name(text: str) -> str | None:
    """Read a name that is the whole answer to «¿a nombre de quién?»: «Carlos Pérez», «soy Ana»."""
    text = compose(text)
    folded = fold(text)
    if name := _name(text, folded)[0]:
        return name
    found = _name_at(text, folded, len(text) - len(text.lstrip(" ¿¡.,-")), sure=True)
    return found[0] if found and not folded[found[1] :].strip(" .,!") else None


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


def _passengers(folded: str) -> tuple[int | None, list[tuple[int, int]]]:
    """Return how many travel, and where that stands."""
    found = list(_PASSENGERS.finditer(folded))
    # «no somos tres, somos cuatro»: what is denied counts only where nothing is put in its place.
    said = [match for match in found if not re.search(r"\bno $", folded[: match.start()])]
    for match in said or found:
        if match["alone"] or match["pair"]:
            return 1 if match["alone"] else 2, [match.span()]
        count = number(match["are"] or match["count"] or match["for"])
        extra = match["children"] or match["more"]
        count += number(extra) if extra else 0
        if 1 <= count <= _MOST_PASSENGERS and not (
            match["count"] and match["count"] in ("una", "un") and _HUMAN_BEFORE.search(folded[: match.start()])
        ):
            return count, [match.span()]
    return None, []


_HUMAN_BEFORE = re.compile(r"\b(?:hablar|quiero|con|otra|pas\w+|comuni\w+|necesito)\W+(?:(?:con|a|hablar)\W+)*$")


def _phone(folded: str) -> str | None:
    """Return a mobile number: digits in groups, or spoken one by one, in pairs and in hundreds."""
    for match in _PHONE.finditer(folded):
        digits = "".join(group for group in match.groups() if group)
        if len(digits) == 10:
            return digits
    run = ""
    for digits in _spoken_digits(folded):
        if digits:
            run += digits
        else:
            if len(run) == 10 and run.startswith("3"):
                return run
            run = ""
    return None


def _spoken_digits(folded: str) -> Iterator[str]:
    """Yield the digits of each number in turn, and an empty string where something else stands or the text ends."""
    words = _WORD.findall(folded)
    index = 0
    while index < len(words):
        word = words[index]
        value = int(word) if word.isdecimal() and len(word) < 11 else None
        if value is not None:
            yield word
        elif word in _HUNDREDS:
            following = NUMBERS.get(words[index + 1], 100) if index + 1 < len(words) else 100
            if following < 100 and following > 9:
                index += 1
                unit = _unit_after_y(words, index)
                index += 2 if unit else 0
                yield f"{_HUNDREDS[word] * 100 + following + unit}"
            else:
                yield f"{_HUNDREDS[word] * 100}"
        elif word in NUMBERS:
            unit = _unit_after_y(words, index) if NUMBERS[word] >= 30 else 0
            index += 2 if unit else 0
            yield f"{NUMBERS[word] + unit}"
        elif word not in ("-", ".", ","):
            yield ""
        index += 1
    yield ""


def _unit_after_y(words: list[str], index: int) -> int:
    """Return the unit in «treinta y cinco», or 0."""
    if index + 2 < len(words) and words[index + 1] == "y" and 0 < NUMBERS.get(words[index + 2], 0) < 10:
        return NUMBERS[words[index + 2]]
    return 0

"""What the driver should know: who and what travels along, and what to do on arriving."""

import re
from collections.abc import Iterator

from app.taxi.reading.wishes import Mention, WishReading, is_part_of_place, is_taken_back, read_wishes, table

# What is said -> what is written down, for the driver, in the third person.

_WITH = (
    r"(?:\b(?:llev\w+|debo|debemos|traig\w+|traje|trae\w*|tra[ei]go|carg\w+|viaj\w+|voy|vamos|va|ando|andamos|tengo|tenemos|con|"
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

_NOTE = re.compile(rf"\b(?:{table(_SAID_ANYWHERE, 's')}|{table(_NOTES, 'n')})\b")
_CARRIED = re.compile(_WITH + r"$")


def read_notes(folded: str) -> WishReading:
    """Read the notes for the driver in a sentence."""
    return read_wishes(folded, _mentions(folded))


def _mentions(folded: str) -> Iterator[Mention]:
    for match in _NOTE.finditer(folded):
        kind, index = (match.lastgroup or "s0")[0], int((match.lastgroup or "s0")[1:])
        if kind == "s":
            yield Mention(*match.span(), _SAID_ANYWHERE[index][1])
        elif _is_carried(folded, match.start()):
            yield Mention(*match.span(), _NOTES[index][1])
    for match in _CHANGE.finditer(folded):
        yield Mention(*match.span(), f"Llevar cambio para un billete de ${_CHANGE_WORTH[match['note']]}")


def _is_carried(folded: str, start: int) -> bool:
    """Say whether something is taken along, or no longer, and not part of a place."""
    if is_taken_back(folded, start):
        return True
    before = folded[max(0, start - 40) : start]
    return bool(_CARRIED.search(before) or not before.strip()) and not is_part_of_place(before)

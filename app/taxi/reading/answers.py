"""Whether a rider says yes or no, and nothing besides.

`is_yes` stands before the dispatch of a real taxi. It therefore does not look for a «sí» but reads the *whole*
sentence: every word must belong to a phrase of consent or be a courtesy, or the answer is no consent.
"""

import re

from app.taxi.text import compose, fold

# What is said for yes and for no: whole sentences are built of these and of the courtesies, longest phrase first.

_YES = """
si|sip|sep|sisas|te digo que si|le digo que si|ya dije que si
si claro|si senor|si senora|claro|claro que si|clarisimo|por supuesto|desde luego|obvio
seguro que si|ok|okey|okay|okei|oki|okis|oka|oke|vale|listo|lista|listos|listico|bueno|esta bien|todo bien|todo ok
todo correcto|todo esta bien|todo esta correcto|todo perfecto|todo en orden|asi es|asi mismo|eso es|eso mismo
tal cual|es correcto|esta correcto|esta correcta|estan correctos|esta perfecto|correcto|correcta|corecto
correctamente|exacto|exactamente|exactico|efectivamente|afirmativo|positivo|es cierto|perfecto|perfecta|perfeto
excelente|genial|super|chevere|bacano|de acuerdo|de una|de one|dale|dele|dale pues|dale que si|hagale|agale
hagale pues|hazle|hagalo|hazlo|metele|adelante|proceda|procede|sin problema|que venga|confirmo|confirmado|confirmada
confirma|confirmar|confirme|confirmalo|confirmelo|confirmamos|confirmadisimo|lo confirmo|comfirmo|confrimo|confimo
comfirmado|confirmo {ride}|confirma {ride}|confirme {ride}|confirmado {ride}|acepto|aceptado|apruebo|me parece
me parece bien|me sirve|mandalo|mandelo|mandemelo|mandamelo|envialo|envielo|enviamelo|enviemelo|pidelo|pidalo
pidamelo|pidemelo|solicitalo|solicitelo|despachalo|despachelo|yes|yep|yeah|yup|sure|correct|right|confirm|confirmed
i confirm|go ahead|of course|that is right|that s right|that is correct|that s correct|perfect|great|all good
sounds good|confirmos|yes please|please do|send it|book it
"""

_YES_ALONG = """
ya|pues|entonces|bien|muy bien|cierto|es cierto|claro como no|como no|estan bien|asi esta bien
por favor|porfa|porfavor|porfis|please|gracias|muchas gracias|mil gracias|muy amable|thanks|thank you|senor|senora
mi vida|mi cielo|corazon
senorita|seno|mi llave|mi amor|amor|mija|mijo|hermano|parce|viejo|vieja|mi vale|cuadro|primo|compa|joven|nene|nena
reina|mi rey|mi reina|amigo|amiga|doctor|doctora|aja|eche|nojoda|uju|ujum|aha|esa es|ese es|esa es la direccion
es la direccion|esa misma|ese mismo|esos son|son correctos|los datos son correctos|los datos estan correctos
todos los datos estan correctos|la direccion esta bien|la direccion es correcta|mandame {ride}|mandeme {ride}
enviame {ride}|envieme {ride}|mandenme {ride}|envienme {ride}|pide {ride}|pideme {ride}|pidame {ride}|manda {ride}
mande {ride}|envia {ride}|envie {ride}|despacha {ride}|despache {ride}|puede enviarlo|puedes enviarlo|puede mandarlo
puedes mandarlo|lo puede enviar|lo puedes enviar|puede confirmar|puedes confirmar|puede proceder|con gusto
con mucho gusto|rapido|rapidito|de una vez|ahora mismo|ya mismo|quedo atento|quedo atenta|lo espero|aqui lo espero
aca lo espero|send the taxi|book the taxi|it is|it s
"""

_NO = """
no|nop|nope|nones|nel|nose|no gracias|no senor|no senora|nada|nada mas|nadita|nada por ahora|ninguno|ninguna|ningun
ningun requerimiento|ninguna observacion|ninguna novedad|ninguna nota|ningun detalle|ningun otro|ninguna otra
negativo|para nada|claro que no|por supuesto que no|de ninguna manera|que va|jamas|nunca|tampoco|ya no|mejor no
todavia no|aun no|ahora no|por ahora no|asi esta bien|asi no mas|asi nomas|asi nada mas|eso es todo|eso seria todo
es todo|seria todo|asiesta bien|eso nada mas|solo eso|solamente eso|nada mas eso|con eso esta bien|eso no mas|eso nomas
no es necesario|no hace falta|no necesito nada|no necesito nada mas|no necesito mas nada|no quiero nada mas
no quiero|no deseo|no tengo|no hay|mas nada|no confirmo|no lo confirmo|no acepto|no lo mande|no lo mandes
no lo envie|no lo envies|no mas|sin nada|sin observaciones|sin requerimientos|sin novedad|normal|uno normal
no estoy de acuerdo|confirmo que no|no thanks|no thank you|nothing else|that is all|that s all|nothing|none|not now
"""

_NO_ALONG = """
ya|pues|asi|por ahora|por el momento|de momento|gracias|muchas gracias|mil gracias|muy amable|por favor|porfa|thanks
mi vida|mi cielo|corazon
thank you|senor|senora|senorita|seno|mi llave|mi amor|amor|mija|mijo|hermano|parce|viejo|vieja|primo|compa|amigo
amiga|esta bien|todo bien|listo|perfecto|bien|eche|nojoda|aja|tranquilo|tranquila|tranqui|dejalo asi|deje asi
deja asi|con eso|eso|ok|de nada|please
"""

_RIDES = (
    "el taxi",
    "mi taxi",
    "el servicio",
    "mi servicio",
    "la carrera",
    "el pedido",
    "la reserva",
    "el viaje",
    "el carro",
)

_YES_SIGNS = "👍✅👌🆗✔☑"
_NO_SIGNS = "👎❌🚫"
_SILENT_SIGNS = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f]")
_ASKS = re.compile(r"[?¿]")
_TRAILS_OFF = re.compile(r"(?:\.{2,}|…)\s*$")
_WORD = re.compile(r"[a-z0-9]+")
_STRETCHED = re.compile(r"([a-z])\1{2,}|([aiouy])\2+\b")
"""«siiii», «listooo»: Spanish doubles no vowel at the end but in learned words, and no letter three times."""

_LONGEST_ANSWER = 200
"""No yes or no that only says so is longer; a longer one says something else too."""


class _Phrases:
    """Phrases of several words, found word by word, the longest first."""

    def __init__(self, table: str) -> None:
        written = [phrase for line in table.strip().splitlines() for phrase in line.split("|")]
        phrases = {tuple(phrase.replace("{ride}", ride).split()) for phrase in written for ride in _RIDES}
        self._phrases = phrases
        self._longest = max(map(len, phrases))

    def ends(self, words: tuple[str, ...], start: int) -> list[int]:
        """Return where phrases that start at a word end."""
        last = min(len(words), start + self._longest)
        return [end for end in range(start + 1, last + 1) if words[start:end] in self._phrases]


_YES_PHRASES, _YES_COURTESIES = _Phrases(_YES), _Phrases(_YES_ALONG)
_NO_PHRASES, _NO_COURTESIES = _Phrases(_NO), _Phrases(_NO_ALONG)


def _consists_of(words: tuple[str, ...], needed: _Phrases, allowed: _Phrases) -> bool:
    """Say whether words can be cut into phrases of both tables, at least one of them needed."""
    reached: list[bool | None] = [None] * (len(words) + 1)  # None: not reached; else whether a needed phrase was used
    reached[0] = False
    for start, has_needed in enumerate(reached[:-1]):
        has_needed = reached[start]
        if has_needed is None:
            continue
        for end in allowed.ends(words, start):
            reached[end] = bool(reached[end]) or has_needed
        for end in needed.ends(words, start):
            reached[end] = True
    return reached[-1] is True


def _answer_words(text: str) -> tuple[str, ...] | None:
    """Return the words of a short plain answer; None for what asks, trails off or is too long to be one."""
    if len(text) > _LONGEST_ANSWER or _ASKS.search(text) or _TRAILS_OFF.search(text):
        return None
    text = _SILENT_SIGNS.sub("", text)
    for sign in _YES_SIGNS:
        text = text.replace(sign, " ok ")
    for sign in _NO_SIGNS:
        text = text.replace(sign, " no ")
    folded = _STRETCHED.sub(lambda match: match.group(1) or match.group(2), fold(compose(text)))
    return tuple(_WORD.findall(folded))


def is_yes(text: str) -> bool:
    """Say whether a sentence is an unambiguous consent to what was just read, and nothing besides.

    «sí, pero…», «sí, con Nequi», «¿sí?», «creo que sí» and «sí…» are none: when in doubt it is not a yes.
    """
    words = _answer_words(text)
    return bool(words) and _consists_of(words or (), _YES_PHRASES, _YES_COURTESIES)


def is_no(text: str) -> bool:
    """Say whether a sentence is a «no» that ends: «no», «no, gracias», «nada más», «así está bien»."""
    words = _answer_words(text)
    return bool(words) and _consists_of(words or (), _NO_PHRASES, _NO_COURTESIES) and not is_yes(text)

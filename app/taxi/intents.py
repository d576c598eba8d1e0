"""What a rider wants of the sentence just said, as far as rules can tell.

`is_yes` stands before the dispatch of a real taxi. It therefore does not look for a «sí» but reads the *whole* sentence: every
word must belong to a phrase of consent or be a courtesy, or the answer is no consent.
"""

import re
from enum import StrEnum
from typing import Literal

from app.taxi.text import compose, fold


class Intent(StrEnum):
    """What a sentence is for; one sentence may be for several things."""

    GREETING = "greeting"
    TAXI_REQUEST = "taxi_request"
    YES = "yes"
    NO = "no"
    CORRECTION = "correction"
    CANCEL = "cancel"
    STATUS = "status"
    PRICE = "price"
    PAYMENT_QUESTION = "payment_question"
    """«¿reciben Nequi?»: about the service, not yet a choice."""
    COVERAGE = "coverage"
    ANOTHER = "another"
    """One more taxi, beside the one booked."""
    HUMAN = "human"
    COMPLAINT = "complaint"
    """Something lost, a bad driver: a person has to see to it."""
    EMERGENCY = "emergency"
    HELP = "help"
    """«¿quién eres?», «¿cómo funciona?»."""
    REPEAT = "repeat"
    WAIT = "wait"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    INSULT = "insult"
    OUT_OF_SCOPE = "out_of_scope"
    INJECTION = "injection"


# What is said for yes and for no: whole sentences are built of these and of the courtesies, longest phrase first.

_YES = """
si|sip|sep|sii|sisas|si claro|si senor|claro|claro que si|clarisimo|por supuesto|como no|desde luego|obvio|seguro que si
ok|okey|okay|okei|oki|okis|oka|oke|vale|va|listo|lista|listos|listico|bueno|bien|esta bien|todo bien|todo ok|todo correcto
todo esta bien|todo esta correcto|todo perfecto|todo en orden|asi es|asi mismo|eso|eso es|eso mismo|tal cual|es correcto
esta correcto|esta correcta|estan correctos|esta perfecto|correcto|correcta|corecto|correctamente|exacto|exactamente|exactico
efectivamente|afirmativo|positivo|cierto|es cierto|perfecto|perfecta|perfeto|excelente|genial|super|chevere|bacano|de acuerdo
de una|de one|dale|dele|dale pues|dale que si|hagale|agale|hagale pues|hazle|hagalo|hazlo|metele|adelante|proceda|procede
confirmo|confirmado|confirmada|confirma|confirmar|confirme|confirmalo|confirmelo|confirmamos|confirmadisimo|lo confirmo
comfirmo|confrimo|confimo|comfirmado|si confirmo|acepto|aceptado|apruebo|me parece|me parece bien|me sirve
mandalo|mandelo|mandemelo|mandamelo|envialo|envielo|enviamelo|enviemelo|pidelo|pidalo|pidamelo|pidemelo
solicitalo|solicitelo|despachalo|despachelo|que venga|no hay problema|sin problema
yes|yep|yeah|yup|sure|correct|right|confirm|confirmed|i confirm|go ahead|of course|that is right|that s right|that is correct
that s correct|perfect|great|all good|sounds good|yes please|please do|send it|book it
"""

_YES_ALONG = """
ya|pues|entonces|todo|todos|los datos|estan bien|estan correctos|esta todo bien|asi esta bien|asi|por favor|porfa|porfavor|porfis
please|gracias|muchas gracias|mil gracias|muy amable|thanks|thank you|senor|senora|senorita|seno|mi llave|llave|mi amor|amor|mija|mijo
hermano|parce|viejo|vieja|mi vale|cuadro|primo|compa|joven|nene|nena|reina|mi rey|mi reina|amigo|amiga|doctor|doctora
aja|eche|nojoda|uju|ujum|aha|esa es|ese es|esa es la direccion|esa misma|ese mismo|esa|ese|esos son|la direccion|es la direccion
los datos son correctos|son correctos|todos los datos|los datos estan correctos|el taxi|mi taxi|el servicio|mi servicio
el pedido|la carrera|la reserva|el viaje|mandame el taxi|mandeme el taxi|envieme el taxi|enviame el taxi|mandenme el taxi
envienme el taxi|pide el taxi|pidame el taxi|manda el taxi|mande el taxi|envie el taxi|envia el taxi|puede enviarlo
puedes enviarlo|puede mandarlo|puedes mandarlo|lo puede enviar|lo puedes enviar|puede confirmar|puedes confirmar
es|esta|muy bien|yo|con gusto|con mucho gusto|rapido|rapidito|de una vez|ahora|ya mismo|quedo atento|quedo atenta|lo espero
aqui lo espero|aca lo espero|it|the taxi|the booking|it is|it s
"""

_NO = """
no|nop|nope|nop|nones|nel|no no|no gracias|no senor|no senora|nada|nada mas|nadita|nada por ahora|ninguno|ninguna|ningun
ningun requerimiento|ninguna observacion|ninguna novedad|ninguna nota|ningun detalle|ningun otro|ninguna otra|negativo
para nada|claro que no|por supuesto que no|de ninguna manera|que va|jamas|nunca|tampoco|ya no|mejor no|todavia no|aun no|ahora no
por ahora no|asi esta bien|asi no mas|asi nomas|asi nada mas|asi|eso es todo|eso seria todo|es todo|seria todo|eso nada mas
solo eso|solamente eso|nada mas eso|con eso|con eso esta bien|eso no mas|eso nomas|no es necesario|no hace falta
no necesito nada|no necesito nada mas|no necesito mas nada|no quiero nada mas|no quiero|no deseo|no tengo|no hay|mas nada
no ninguno|no ninguna|no nada|no confirmo|no lo confirmo|no acepto|no lo mande|no lo mandes|no lo envie|no lo envies|no mas
sin nada|sin observaciones|sin requerimientos|sin novedad|normal|cualquiera|un taxi normal|uno normal|taxi normal|no estoy de acuerdo
no thanks|no thank you|nothing else|that is all|that s all|nothing|none|not now|no i don t
"""

_NO_ALONG = """
ya|pues|por ahora|por el momento|de momento|gracias|muchas gracias|mil gracias|muy amable|por favor|porfa|thanks|thank you|senor|senora
senorita|seno|mi llave|mi amor|amor|mija|mijo|hermano|parce|viejo|vieja|primo|compa|amigo|amiga|esta bien|todo bien|listo|perfecto|bien
eche|nojoda|aja|tranquilo|tranquila|tranqui|dejalo asi|deje asi|deja asi|con eso|eso|ok|para nada|de nada|please|mas|es|otro|otra|solo
"""

_YES_SIGNS = "👍✅👌🆗✔☑"
_NO_SIGNS = "👎❌🚫"
_SILENT_SIGNS = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f]")
_ASKS = re.compile(r"[?¿]")
_TRAILS_OFF = re.compile(r"(?:\.{2,}|…)\s*$")
_WORD = re.compile(r"[a-z0-9]+")
_STRETCHED = re.compile(r"([a-z])\1{2,}|([aiuy])\2+\b")
"""«siiii», «listooo»: Spanish doubles no vowel at the end but in learned words, and no letter three times."""

_LONGEST_ANSWER = 200
"""No yes or no that only says so is longer; a longer one says something else too."""


class _Phrases:
    """Phrases of several words, found word by word, the longest first."""

    def __init__(self, table: str) -> None:
        phrases = {tuple(phrase.split()) for line in table.strip().splitlines() for phrase in line.split("|")}
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
    return bool(words) and _consists_of(words or (), _NO_PHRASES, _NO_COURTESIES)


# A «no» (or «perdón», «mejor»…) that is followed by something to put in place of what was understood.

_INSTEAD = (
    r"(?:(?:es|era|son|eran|seria)\b(?! (?:necesario|nada|todo|por ahora|asi$))|mejor\b(?! (?:no|deja|cancel|asi))|en realidad|mas bien|quise|queria decir|digo\b|dije"
    r"|me equivo|esta (?:mal|errad|equivocad)|cambi|corri[gj]|con \w|por (?!ahora|el momento|favor|nada)\w|para (?!nada)\w|en (?!este momento)\w"
    r"|(?:la|el|las|los|mi|un|una|al|a la|del?|pago|pagare|voy|somos|vamos|estoy|recog\w+|ponle|pon|ponga) \w|ese no|esa no|eso no"
    r"|(?:calle|cll?|carrera|cra|kra|kr|cr|diagonal|transversal|avenida|av|via|barrio|edificio|apto|torre|casa)\b|#|\d"
    r"|(?:nequi|daviplata|efectivo|tarjeta|datafono)\b(?! no\b))"
)
_CORRECTS = re.compile(
    rf"^\W*(?:(?:ay|uy|eh|ah|oh|mmm?|eche|pero|oye|mira) )?(?:no\W+)+(?:(?:perdon|disculp\w+|espera|espere|senor|senora|senorita|mira|amor|gracias pero)\W+)*(?:{_INSTEAD})"
    rf"|\b(?:perdon(?:a|e|ame|eme)?|disculp\w+|corrijo|correccion|rectifico|miento|sorry)\W+(?:(?:no|si)\W+)?(?:{_INSTEAD})"
    r"|\bme (?:he )?equivo(?:que|co|cado)\b|\bquise decir\b|\bqueria decir\b|\b(?:yo )?(?:no )?(?:te|le) dije (?:que )?(?:no|la|el|en|calle|carrera)\b"
    r"|\bcambi(?:a|ar|e|ala|alo|ame|eme|emos|elo|ela|arle|arla|arlo)\b(?! de (?:50|20|100|cincuenta|veinte|cien))"
    r"|\bcorri(?:ge|ja|gelo|jalo|gela|jala)\b|\bcorregir|\bmodifi(?:ca|que|car)\b|\brectifi(?:ca|que|car)\b"
    r"|\b(?:esta|quedo) (?:mal|errad[oa]|equivocad[oa]|incorrect[oa])\b|\bincorrect[oa]\b|\bes(?:a|e|o) no es\b|\bno es es[aeo]\b"
    r"|\bno (?:es|era|son)\b(?! (?:necesario|nada|todo|posible|justo|problema|asi que|mucho|urgente))"
    r"|\b(?:mejor|mas bien) (?:con|en|por|para|a|al|la|el|que|ponle|pon|ponga|efectivo|nequi|daviplata|tarjeta|calle|carrera)\b"
    r"|\bsino (?:con|en|a|al|la|el|que|calle|carrera|nequi|efectivo)\b|\ben (?:vez|lugar) de\b"
    r"|\b(?:si|ok|listo|dale|bueno|bien|correcto)\W+pero\b|\b(?:quita|quite|quitale|borra|borre|elimina|agrega|agregue|anade|anada|ponle|pongale)\b"
    r"|\bno[,.;:]* (?:carrera|calle|cra|cll|con|mejor|la \d+)\b"
    r"|\b(?:no,? )?(?:actually|i meant|change (?:the|it|my)|wrong (?:address|number|street))\b"
)
_NOT_CORRECTED = re.compile(
    r"\bno (?:te|le|lo|la|se)? ?(?:entend|entiend|escuch|oi|oig|copi)|^\W*no\W+(?:en este momento|con gusto)\b"
)


def corrects(text: str) -> bool:
    """Say whether a sentence takes back or changes something said: «no, es la 80», «mejor con Nequi», «me equivoqué»."""
    folded = fold(compose(text))
    return _corrects(folded) and not is_no(text)


def _corrects(folded: str) -> bool:
    return _CORRECTS.search(folded) is not None and _NOT_CORRECTED.search(folded) is None

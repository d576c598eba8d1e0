"""Whether a rider changes something said: «no, es la 80»."""

import re

from app.taxi.reading.answers import is_no
from app.taxi.text import compose, fold

# A «no» (or «perdón», «mejor»…) that is followed by something to put in place of what was understood.

_INSTEAD = (
    r"(?:(?:es|era|son|eran|seria)\b(?! (?:necesario|nada|todo|por ahora|asi$))|mejor\b(?! (?:no|deja|cancel|asi))|"
    r"en realidad|mas bien|quise|queria decir|digo\b|dije"
    r"|me equivo|esta (?:mal|errad|equivocad)|cambi|corri[gj]|con \w|por (?!ahora|el momento|favor|nada)\w|"
    r"para (?!nada)\w|en (?!este momento)\w"
    r"|(?:la|el|las|los|mi|un|una|al|a la|del?|pago|pagare|voy|somos|vamos|estoy|recog\w+|ponle|pon|ponga) \w|"
    r"ese no|esa no|eso no"
    r"|(?:calle|cll?|carrera|cra|kra|kr|cr|diagonal|transversal|avenida|av|via|barrio|edificio|apto|torre|casa)\b|#|\d"
    r"|(?:nequi|daviplata|efectivo|tarjeta|datafono)\b(?! no\b))"
)
_CORRECTS = re.compile(
    rf"^\W*(?:(?:ay|uy|eh|ah|oh|mmm?|eche|pero|oye|mira) )?(?:no\W+)+(?:(?:perdon|disculp\w+|espera|espere|senor|"
    rf"senora|senorita|mira|amor|gracias pero)\W+)*(?:{_INSTEAD})"
    rf"|\b(?:perdon(?:a|e|ame|eme)?|disculp\w+|corrijo|correccion|rectifico|miento|sorry)\W+(?:(?:no|"
    rf"si)\W+)?(?:{_INSTEAD})"
    r"|\bme (?:he )?equivo(?:que|co|cado)\b|\bquise decir\b|\bqueria decir\b|\b(?:yo )?(?:no )?(?:te|"
    r"le) dije (?:que )?(?:no|la|el|en|calle|carrera)\b"
    r"|\bcambi(?:a|ar|e|ala|alo|ame|eme|emos|elo|ela|arle|arla|arlo)\b(?! de (?:50|20|100|cincuenta|veinte|cien))"
    r"|\bcorri(?:ge|ja|gelo|jalo|gela|jala)\b|\bcorregir|\bmodifi(?:ca|que|car)\b|\brectifi(?:ca|que|car)\b"
    r"|\b(?:esta|quedo) (?:mal|errad[oa]|equivocad[oa]|incorrect[oa])\b|\bincorrect[oa]\b|\bes(?:a|e|o) no es\b|"
    r"\bno es es[aeo]\b"
    r"|\bno (?:es|era|son)\b(?! (?:necesario|nada|todo|posible|justo|problema|asi que|mucho|urgente))"
    r"|\b(?:mejor|mas bien) (?:con|en|por|para|a|al|la|el|que|ponle|pon|ponga|efectivo|nequi|daviplata|tarjeta|"
    r"calle|carrera)\b"
    r"|\bsino (?:con|en|a|al|la|el|que|calle|carrera|nequi|efectivo)\b|\ben (?:vez|lugar) de\b"
    r"|\b(?:si|ok|listo|dale|bueno|bien|correcto)\W+pero\b|\b(?:quita|quite|quitale|borra|borre|elimina|agrega|"
    r"agregue|anade|anada|ponle|pongale)\b"
    r"|\bno[,.;:]* (?:carrera|calle|cra|cll|con|mejor|la \d+)\b"
    r"|\b(?:no,? )?(?:actually|i meant|change (?:the|it|my)|wrong (?:address|number|street))\b"
)
_NOT_CORRECTED = re.compile(
    r"\bno (?:te|le|lo|la|se)? ?(?:entend|entiend|escuch|oi|oig|copi)|^\W*no\W+(?:en este momento|con gusto)\b"
)


def corrects(text: str) -> bool:
    """Say whether a sentence changes something said: «no, es la 80», «mejor con Nequi», «me equivoqué»."""
    folded = fold(compose(text))
    return bool(_CORRECTS.search(folded)) and not _NOT_CORRECTED.search(folded) and not is_no(text)

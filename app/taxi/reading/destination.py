"""Where a rider wants to go: an address is the pick-up unless the sentence marks it as a destination."""

import re
from collections.abc import Sequence
from typing import NamedTuple


class Destination(NamedTuple):
    """A destination in a sentence, as spans of it."""

    blank_from: int
    """Where its marker starts («y voy para…»)."""
    start: int
    end: int
    article: str
    """«el» where the marker swallowed it, as in «voy al»."""


_GO = r"(?:voy|vamos|iremos|ire|viajo|viajamos|me voy|nos vamos|me dirijo|nos dirigimos|salgo|salimos|va|pienso ir)"
_TO = r"(?:con (?:destino|rumbo) (?:a|al|hacia|para)|rumbo (?:a|al)|para|pa'?l|pa|hacia|hasta|al|a)\b"
_CLITICS = r"(?:me|te|les?|l[oa]s?|nos|se)?(?:l[oa]s?)?\b"
_INFINITIVE = (
    r"(?:pag|cancel|necesit|est|llev|esper|viaj|tom|d|pregunt|confirm|us|utiliz|lleg|busc|compr|demor|cambi|solicit|"
    rf"trabaj|baj|mand|avis|llam|qued|dej|entreg|regres|habl|consult|report|reserv|visit|colg|mont|agarr|cost|cobr|tard|gust)ar{_CLITICS}|"
    rf"(?:s|hac|quer|ten|pon|v|recog|cog|pod|volv|com|requer)er{_CLITICS}|"
    rf"(?:|sal|ped|dec|transfer|sub|requer|segu)ir{_CLITICS}"
)
_TAKE = (
    r"(?:llev(?:e|en|es|a|an|as|ar|aran?|eme|enme|ame|adme|arme|arnos|arlos?|arla|enos|ennos|anos)|lleve|lleven|"
    r"transport\w+|traslad\w+|acerq\w+|acerc\w+|condu[zc]\w+)"
)
_LEAVE = (
    r"(?:dej(?:e|en|es|a|an|ar|arme|arnos|eme|enme|ame|arlos?|enos)|bajarme|bajarnos|me bajo|nos bajamos|me quedo|"
    r"nos quedamos|quedarme|quedarnos)"
)
_WHOM = (
    r"(?:a mis? (?!casa|apart|oficina|trabajo|barrio)\w+ (?:que (?:esta|va) \w+ |\w+ )?(?=(?:para|pa|hasta|a|al) ))?"
)
_MARKERS = re.compile(
    r"\b(?:(?:y|e|que|porque|,) )?(?:"
    rf"(?:ya )?{_GO} (?:ya )?(?:a ir )?(?P<go>{_TO})(?! (?:{_INFINITIVE}))"
    r"|(?:(?:para|pa|quiero|necesito|tengo que|debo|deseo|quisiera|voy a|vamos a|me toca) ){0,4}(?:ir|irme|irnos|"
    r"viajar|dirigirme|desplazarme|movilizarme|transportarme|trasladarme) (?P<ir>para|pa|hacia|hasta|pal|al|a)"
    r"|(?:(?:para|quiero|necesito|tengo que|debo) ){1,3}(?:llegar|estar) (?P<reach>hasta|al|a(?! las? (?:\d|una|dos|"
    r"tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce))|en)"
    rf"|(?:(?:para|y|que|quiero|necesito|puede|pueden|puedes|luego|despues|me|nos|lo|la|los|las|"
    rf"le) ){{0,4}}{_TAKE} (?:(?:a mi|rapido|ya) )?{_WHOM}(?P<take>para|pa|hacia|hasta|pal|al|a)"
    rf"|(?:(?:para|y|que|quiero|necesito|puede|pueden|puedes|luego|me|nos|lo|la|los|"
    rf"las) ){{0,4}}{_LEAVE} (?P<leave>por|cerca de|en|frente a|al|a)"
    r"|(?:con )?(?:rumbo|destino) (?P<bound>hacia|para|al|a)"
    r"|(?:(?:y |con )?(?:el|mi|de|nuestro|cambi\w+ el) )?destino(?: final)?(?: (?P<names>es al|es a|es para|"
    r"es hacia|es|sera|seria|al|a|para|por))?[ ,]{0,2}[:=]?"
    r"|(?:una |la )?carrera (?P<ride>hasta|hacia|para|al|a)"
    r"|(?:un )?viaje (?P<trip>hasta|hacia|para|al|a)"
    r"|(?:cobr|cuest|val|sal|cost)\w+ (?:(?:la carrera|un taxi|el taxi|ir|aproximadamente|la|el|"
    r"viaje) )*(?P<price>hasta|hacia|para|al|a)"
    r"|de (?:aqui|aca|mi casa|donde estoy) (?P<here>hasta|hacia|para|pa|al|a)"
    r"|(?P<until>hasta)"
    r"|(?:i'?m |am |i am )?(?:going|go|headed|heading|ride|taxi|cab|take (?:me|us)) (?P<english>to)\b"
    r")(?= ?[:\w]|\s)\s*"
)  # fmt: skip
_NOT_A_PLACE = re.compile(
    r"(?:(?:la|el|los|las|un|una) )?(?:luego|manana|pronto|ahora|aqui|aca|alla|alli|ahi|abajo|arriba|afuera|fuera|"
    r"adelante|entonces|que|donde|la vista|la proxima|cuando|(?:la (?:1|una)|las (?:1?\d|2[0-4]|dos|tres|cuatro|cinco"
    r"|seis|siete|ocho|nueve|diez|once|doce))(?= (?:am|pm|de la|en punto|y|p|a)\b|\W*$|:)|porteria|puerta(?! de oro)|"
    r"entrada|esquina|ti|mi|usted|el favor|efectivo|nequi|daviplata|tarjeta|pagar|cancelar"
    r"|no|si|aun|todavia|y|o|minutos?|hablar|ser|ver|esperar|necesitar|estar|querer|pedir|bajar|salir|cuanto|como|"
    r"trabajar|que no|(?:dos|tres|cuatro)(?= person| pasaj|\W*$)|\d personas?|domicilio)\b"
)
_SENT_TO_ME = re.compile(
    r"\b(?:mand\w+|envi\w+|veng\w+|venir|acerq\w+|llegu\w+|recog\w+|recoj\w+|buscar\w*|lleg\w+|desde)\b[^.,;]{0,40}$"
)
_NEGATED = re.compile(r"\b(?:no|tampoco)\W+(?:(?:me|yo|es que|se si|quiero|voy a)\W+)*$")
_FAREWELL = re.compile(
    r"\bhasta (?:luego|manana|pronto|la vista|la proxima|ahora|aqui|aca|que|donde|el momento|el momento|las? \d)"
)

_FROM = re.compile(r"\b(?P<from>desde|salgo de|saliendo de|de)(?P<article>l)? (?=\w)")
_FROM_TO = re.compile(r" (?:y )?(?P<to>con destino a|hasta|hacia|para|pa|pal|al|a)\b (?=\w)")
_LETTER_A = re.compile(
    r"(?:\d|\b(?:y|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|\w*enta|\w*inte|\w*ce)) a (?:#|"
    r"no\b|num|con\b|\d|bis|sur|uno|\w+enta|\w+inte)"
)
_NOT_FROM = re.compile(
    r"(?:la (?:manana|tarde|noche|madrugada)|el (?:dia)|una|una vez|inmediato|afan|urgencia|favor|pronto|nuevo|"
    r"parte|carga|baul|nequi|efectivo|tarjeta|daviplata|debito|credito|\d+ (?:puertas|pasajeros|personas)"
    r"|acuerdo|verdad|pago|cuatro puertas|los grandes|nada|que|mi|eso|ese|servicio|aire|camioneta|confianza|lunes|"
    r"\d+ a \d+ de)\b(?! casa| trabajo| oficina| apartamento| edificio)"
)
_RIDE_BEFORE = re.compile(
    r"(?:^\W*|\b(?:tax\w*|carrera|servicio|viaje|cuanto\b.{0,30}|voy|vamos|ir|salgo|trayecto|recorrido|recog\w+|"
    r"llev\w+|carro|traslado)\W+)$"
)
_NEXT = re.compile(
    r"[,.]?\s*\b(?:no|perdon|digo|mejor|sino|corrijo)\b[ ,.]*(?:(?:no|perdon|digo|mejor|espera|"
    r"es)\b[ ,.]*)*(?P<to>para|pa|hacia|hasta|pal|al|a)\b (?=\w)"
)
_SECOND_PARA = re.compile(
    r" (?:y )?(?P<to>para|pa|hacia|con destino a|pal|rumbo a)\b (?=(?:el|la|los|las|al) \w|(?:soledad|malambo|"
    r"galapa|puerto|buenavista|barranquilla|riomar|villa|ciudad|unicentro|portal|viva|mallplaza|calle|cll?|carrera"
    r"|cra|kra|aeropuerto|terminal|centro|uninorte|el|salgar)\b)(?!(?:el|la|los|las) (?:(?:\d{1,2}|una|dos|tres|"
    r"cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce)\b(?! con)|lunes|martes|miercoles|jueves"
    r"|viernes|sabado|domingo|manana|tarde|noche|madrugada|senor\w*|nin[oa]s?|perr\w+|bici\w*|maletas?|equipaje|"
    r"trasteo|mascota|familia|medio ?dia|mudanza|carga|pareja|abuel\w+|doctor\w*)\b)"
)
_PICKED_UP = re.compile(r"\b(?:en|a|al|de|desde|para|calle|carrera|cra|cll|cl|kra)\b .*?(?:\d|\w{3,} \w+)")

_ABBREVIATION = re.compile(r"\b(?:cra|cll|cl|kra|kr|cr|av|no|nro|dg|tv|ed|apto|cc|c|dr|dra|sr|sra|sta|sto|urb|esq|n)$")
_STOP = re.compile(
    r"[;\n!?¿¡()\"|]|,|\.(?!\d)"
    r"|\b(?:y|e|pero|porque|que|si(?! puedes)|cuando|por favor|porfa\w*|gracias|please|desde|saliendo|salgo|"
    r"recog\w+|recoj\w+|"
    r"me recoge\w*|recolect\w+|estoy|estamos|me encuentro|ubicad[oa]|pago|pagare|pagando|pagar|cancelo"
    r"|necesito|quiero|mand\w+|envi\w+|somos|soy|me llamo|mi nombre|a nombre|llevo|llevamos|voy|vamos|no|perdon|"
    r"mejor|digo|cuanto|urgente|rapido|ahora|partiendo|esperen\w*|estare|from|and|paying|with|con mis?|"
    r"con un[oa]?s?|con (?:dos|tres|cuatro|\d)(?= [a-z]{4}))\b"
    r"|\b(?:a|para) (?:la (?:1|una)|las (?:1?\d|2[0-4]|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce))\b"
    r"(?! (?:con|ave|numero|bocas)\b)"
    rf"|\b(?:a|para) (?:{_INFINITIVE})\b"
)
_JOINS = re.compile(
    r"\s*(?:#|no\b\.?\s*\d|n[uo]m\w*\.?\s*\d|con (?:calle|carrera|\d)|n[°o]\s*\d|\d|barrio|edificio|ed\b|torre|apto|"
    r"apartamento|conjunto|local|urbanizacion|urb\b|en (?:soledad|puerto|barranquilla|galapa)|soledad|"
    r"puerto colombia|barranquilla)"
)
_AND_STREET = re.compile(
    r"(?:y|e) (?:(?:la |con )?(?:calle|carrera|cra|cll?|kra|kr|diagonal|transversal|\d+)|cinco|uno|dos|tres|cuatro|"
    r"seis|siete|ocho|nueve|media|villate)\b"
)
_LONGEST = 120
"""A place that is longer is no place; what follows is read as something else."""


_GOES = r"(?:voy|vamos|iremos|me dirijo|nos dirigimos|quiero ir|necesito ir|va)"
_THERE = re.compile(
    r"[ ,;.]*\b(?:y )?(?:"
    rf"(?:(?:ahi|alla|alli|eso|esa|ese) )?(?:mismo )?(?:es )?(?:adonde|a donde|para donde|pa donde|hacia donde|donde) "
    rf"(?:es que |yo )?{_GOES}"
    rf"|(?:ahi|alla|alli) (?:mismo )?(?:es )?(?:que )?{_GOES}"
    rf"|(?:para|pa|hacia|hasta) (?:alla|alli|ahi|ese lado|esa direccion) (?:mismo )?(?:es )?(?:que )?(?:yo )?{_GOES}"
    rf"|es que {_GOES}"
    r"|(?:es[ae]|eso|ahi|alla|esta|este|es) (?:es )?(?:mi|el|la direccion de|nuestro) destino"
    r"|that(?:'s| is) (?:where (?:i'?m|i am|we'?re|we are) (?:going|headed)|my destination)"
    r")(?=\W*(?:$|[,.;!\n]|(?:y|e|pero|por favor|gracias|yo|and|please)\b))"
)
"""Said after a place, it makes the place where the ride goes: «ahí es para donde voy»."""
_CLAUSE = re.compile(r"[.;!\n](?!\d)\s*|\b(?:y|and) (?=\D{0,25}\d.{0,40}\d)")
_TO_AT_START = re.compile(
    r"(?:(?:no|si|perdon|disculp\w+|pero|es que|ah|ay|bueno|mira|oye|espera|sorry)\b\W*)*"
    r"(?:(?:a|al|para|pa|hacia|hasta|en|es) )*"
)


def find_marked_afterwards(folded: str) -> Destination | None:
    """Return the place that «para allá voy» makes the destination; empty where it is of an earlier sentence."""
    match = next((each for each in _THERE.finditer(folded) if "?" not in folded[each.end() :][:2]), None)
    if match is None:
        return None
    begin = max((each.end() for each in _CLAUSE.finditer(folded, 0, match.start())), default=0)
    lead = _TO_AT_START.match(folded, begin, match.start())
    start = lead.end() if lead else begin
    return Destination(begin, start, max(start, match.start()), "")


def find_destinations(folded: str, cuts: Sequence[int] = ()) -> tuple[list[Destination], bool]:
    """Find the destinations in a sentence, in order, and whether one is taken back («ya no voy para…»).

    Args:
        folded: The sentence, folded.
        cuts: Where other things that riders say start (payment, times…); a destination ends there.
    """
    found: list[Destination] = []
    taken_back = False
    position = 0
    while position < len(folded) and len(found) < _MOST:
        match = _MARKERS.search(folded, position)
        if match is None:
            break
        position = match.end()
        if match["until"] and (
            _FAREWELL.match(folded, match.start("until"))
            or _SENT_TO_ME.search(folded[max(0, match.start() - 60) : match.start()])
        ):
            continue
        if _NOT_A_PLACE.match(folded, match.end()):
            continue
        end = _end(folded, match.end(), cuts)
        if end <= match.end():
            continue
        if _NEGATED.search(folded[max(0, match.start() - 30) : match.start()]):
            taken_back = True
        else:
            found.append(Destination(match.start(), match.end(), end, _article(match.group())))
        position = end
        found += _corrected(folded, end, cuts)
        position = max(position, found[-1].end if found else end)
    if not found:
        found = _from_to(folded, cuts) or _second_para(folded, cuts)
    return found, taken_back


_MOST = 8
"""More destinations than this are no sentence of a rider."""


def _article(marker: str) -> str:
    return "el " if re.search(r"(?:\bal|pa'?l)\s*$", marker) else ""


def _corrected(folded: str, end: int, cuts: Sequence[int]) -> list[Destination]:
    """Return the place that «no, perdón, para…» puts after a destination."""
    match = _NEXT.match(folded, end) or _NEXT.match(folded, min(end + 1, len(folded)))
    if match is None or _NOT_A_PLACE.match(folded, match.end()):
        return []
    stop = _end(folded, match.end(), cuts)
    return [Destination(match.start(), match.end(), stop, _article(match["to"]))] if stop > match.end() else []


def _from_to(folded: str, cuts: Sequence[int]) -> list[Destination]:
    """Return the Y of «de X a Y» and «desde X hasta Y»."""
    for start in _FROM.finditer(folded):
        wide = start["from"] != "de"
        if not wide and not _RIDE_BEFORE.search(folded[max(0, start.start() - 50) : start.start()]):
            continue
        if _NOT_FROM.match(folded, start.end()):
            continue
        limit = min([cut for cut in cuts if cut > start.end()] + [start.end() + _LONGEST])
        for to in _FROM_TO.finditer(folded, start.end(), limit):
            if _LETTER_A.match(folded, max(0, to.start() - 1)) or any(
                c in ".;?!" for c in folded[start.end() : to.start()]
            ):
                continue
            if _NOT_A_PLACE.match(folded, to.end()) or re.match(_INFINITIVE, folded[to.end() :]):
                continue
            end = _end(folded, to.end(), cuts)
            if end > to.end():
                return [Destination(to.start(), to.end(), end, _article(to["to"]))]
    return []


def _second_para(folded: str, cuts: Sequence[int]) -> list[Destination]:
    """Return the Y of «un taxi en X para Y», where X is already there as the pick-up."""
    for match in _SECOND_PARA.finditer(folded):
        before = folded[max(0, match.start() - _LONGEST) : match.start()]
        if not _PICKED_UP.search(before) or re.search(r"\b(?:tax\w*|servicio|carro|camioneta)$", before):
            continue
        end = _end(folded, match.end(), cuts)
        if end > match.end():
            return [Destination(match.start(), match.end(), end, _article(match["to"]))]
    return []


def _end(folded: str, start: int, cuts: Sequence[int]) -> int:
    """Return where a place that starts at a position ends."""
    limit = min([cut for cut in cuts if cut >= start] + [start + _LONGEST, len(folded)])
    end = limit
    for stop in _STOP.finditer(folded, start, limit):
        sign = stop.group()
        if sign == "." and _ABBREVIATION.search(folded[start : stop.start()]):
            continue
        if sign in (",", ".") and _JOINS.match(folded, stop.end()) and re.search(r"\d", folded[start : stop.start()]):
            continue
        if sign == "no" and re.match(r"no\W{0,2}\d", folded[stop.start() :]):
            continue
        if sign in ("y", "e") and _AND_STREET.match(folded, stop.start()):
            continue
        end = stop.start()
        break
    while end > start and not folded[end - 1].isalnum():
        end -= 1
    return end

"""How a rider means to pay: what people call it, what is not accepted, and what is taken back."""

import re
from typing import NamedTuple

from rapidfuzz.distance import OSA

from app.models.booking import PaymentMethod
from app.taxi.text import word_set

# What it is called -> what it is. A weak word is also a common word of another kind («plata», «visa»): it counts
# after a word of paying or as nearly the whole sentence.

_ACCEPTED: tuple[tuple[str, PaymentMethod], ...] = (
    (r"davi ?-?plat[ao]s?|davip\w*|dav[iy]s?|dabi ?plata|david plata|da vi plata|dav[iy] ?plata", "daviplata"),
    (
        r"neq+u?[iy]s?|nec?k+(?:[iye]|ie)s?|neku?i|nequ?e[iy]|ne qui|ne ki|en equi|ene?qui|necui|nekuy|ne key|"
        r"conn?equi", "nequi"),
    (
        r"efectivo|efectibo|efetivo|[ei]nefectivo|efectible|cash|contad[oa]|plata en mano|dinero en mano|en fisico|"
        r"dinero fisico|billullo|billete fisico", "efectivo"),
    (r"data ?-?f[oa]nos?|tarjetas? (?:de )?(?:debito|credito)|(?:con)?tarjetas?|targeta|mastercard|master card"
     r"|tarjeta visa|maestro|american express|amex|plastico|pos inalambrico", "tarjeta"),
)  # fmt: skip
_WEAK: tuple[tuple[str, PaymentMethod], ...] = (
    (r"plata|platica|billetes?|dinero|moned(?:as|itas)|sencillo|en mano|la mano", "efectivo"),
    (r"visa|debito|credito|master|card", "tarjeta"),
)
_REFUSED: tuple[tuple[str, str], ...] = (
    (r"bit ?-?coins?|btc", "bitcoin"),
    (r"cripto\w*|usdt|ethereum", "criptomonedas"),
    (r"bre ?-? ?[bv](?:e)?\b|brev|brebe|bre be|(?:con|por|a) (?:(?:mi|la|tu|una) )?llaves?(?! d)", "Bre-B"),
    (
        r"(?:con|en|por|un|los|mi|el|tengo) (?:un |el |mi )?vales?(?: corporativo| de la empresa)?|vale corporativo|"
        r"voucher|vaucher", "vale"),
    (r"cheques?", "cheque"),
    (r"a credito|fiad[oa]s?|fiam[ae]\w*|despues te pago|a cuotas", "a crédito"),
    (r"transfiya|transfi ya", "Transfiya"),
    (r"pay ?pal", "PayPal"),
    (r"apple ?pay|google ?pay|samsung ?pay", "pago con el celular"),
    (r"dolares|dolar|euros?", "moneda extranjera"),
    (r"pse", "PSE"),
    (r"(?:codigo |con )qr", "código QR"),
    (r"movii|rappi ?pay|tpaga|nubank|\bnu\b(?= bank)|lulo bank|ahorro a la mano", "otra billetera"),
    (r"bonos?(?: sodexo)?|sodexo|big ?pass", "bono"),
    (
        r"transferencias?|transferir(?:le)?|transfiero|trasferencia|tranferencia|consignacion|consigno|"
        r"deposito bancario|(?:app|cuenta|la) (?:de )?bancolombia",
     "transferencia"),
)  # fmt: skip

_FUZZY: tuple[tuple[str, PaymentMethod | str], ...] = (
    ("nequi", "nequi"), ("efectivo", "efectivo"), ("daviplata", "daviplata"), ("tarjeta", "tarjeta"),
    ("datafono", "tarjeta"), ("mastercard", "tarjeta"), ("transferencia", "transferencia"),
)  # fmt: skip
_LOOKALIKES = word_set("""
electivo afectivo defectivo selectivo efecto efectos transparencia preferencia telefono negui neque nequen equi que
quien aqui carpeta carreta careta maqueta etiqueta chaqueta barqueta tarea tarjetero colectivo objetivo directivo
""")

_ANY = "|".join(
    f"(?P<{kind}{index}>{pattern})"
    for kind, table in (("r", _REFUSED), ("a", _ACCEPTED), ("w", _WEAK))
    for index, (pattern, _) in enumerate(table)
)
_MENTION = re.compile(rf"\b(?:{_ANY})\b")
_WORD = re.compile(r"[a-z]{4,14}")

_BEFORE_WEAK = re.compile(
    r"(?:\b(?:pag\w+|cancel\w+|con|en|por|pura|solo|tarjeta|mejor|efectivo|una?|la|mi|de)\W{1,3})$"
)
_WEAK_ALONE_WORDS = 3
_PLACE = re.compile(
    r"\b(?:barrio|calle|carrera|avenida|edificio|conjunto|centro|residencias?|almacen|urbanizacion|torres?)\b"
)
_PAYS = re.compile(r"\b(?:pag\w+|cancel\w+|efectivo|cobr\w+|tarjeta)\b")

# Negation before a mention: nothing but small words stands between.
_NOT_BEFORE = re.compile(
    r"(?:\b(?:no (?!,)(?:(?:me|te|le|lo|se|yo|pued[oe]|va|voy|vamos|quiero|quisiera|es|era|sera|hay|tengo|tenemos|"
    r"tiene|cargo|llevo|uso|manejo|traje|pago|pagare|pagar|cancelo|a"
    r"|ser|recib\w+|acept\w+|sirve|gusta|dije|alcanza)\W+)*"
    r"|ya no (?:(?:voy|a|pagar|pago|es|quiero|tengo)\W+)*|sin|ni|nada de|en (?:vez|lugar) de|en cambio de|"
    r"cambi\w+ (?:de|el|la)?|quita\w*|que(?= (?:con|en|el|la)? ?\w+$)))"
    r"\W{0,2}(?:(?:con|en|por|de|el|la|los|un|una|mi|lo del?|ningun|plata en|dinero en)\W+)*$"
)
_NEXT_IS_MEANT = re.compile(
    r"(?:[,.;]\W*no|\W*(?:ya )?no (?:tengo|hay|cargo|llevo|traje|uso|manejo)) (?:(?:con|en|el|la) )?"
)
"""Between two mentions: «Nequi, no tengo efectivo» takes back what comes, «Nequi no tengo, efectivo» what went."""
_PREFERS = re.compile(r"\b(?:mejor|prefiero|mas)\b")
_THAN = re.compile(r"\b(?:que|a)\W+(?:(?:con|en|por|el|la)\W+)*$")
_NOT_AFTER = re.compile(
    r"^\W{0,2}(?:ya )?no\b(?=\W*$|\W*[,.;!]|\W+(?:tengo|hay|puedo|me|mejor|perdon|quiero|sino|cargo|llevo|"
    r"disculp\w+|traje|va|sirve|pago|era|es|digo|ahora|gracias|efectivo|nequi|daviplata|tarjeta))"
)
_ASKS_BEFORE = re.compile(
    r"\b(?:reciben?|recibes|aceptan?|aceptas|manejan?|manejas|tienen?|tienes|hay|trabajan?|cobran?|usan|"
    r"cuanto (?:es )?(?:vale|cobran)?)"
    r"\W+(?:(?:el|la|los|un|pagos?|con|por|en|de|medio|lo de)\W+)*$"
)
_ELSE = re.compile(r"\bsi no\W+(?:\w+\W+){0,3}$")
"""«¿reciben Nequi? si no, efectivo»: what is asked first is what is wished."""
_WISHED = re.compile(
    r"\bque (?:me |si )?(?:reciban?|acepten?|manejen?|tengan?)\W+(?:(?:el|la|un|pagos?|con|por|en)\W+)*$"
)
_OR = re.compile(
    r"^\W*(?:o|u|y|e|y/o|o tambien|o si no|mitad)\W+(?:(?:si no|con|en|por|de|la|el|mitad|puede ser|tambien|"
    r"otra parte)\W+)*$"
)
_REACH = 60
"""How many characters before a mention can negate or ask it."""


class PaymentReading(NamedTuple):
    """What a sentence says about paying."""

    method: PaymentMethod | None
    refused: str | None
    removed: tuple[str, ...]
    """Methods that the sentence takes back."""
    spans: tuple[tuple[int, int], ...]


def read_payment(folded: str) -> PaymentReading:
    """Read how a rider pays.

    A question about the service («¿reciben Nequi?») is no choice; a wish about the ride («¿puedo pagar con Nequi?»,
    «que reciba Nequi») is one. Two methods joined by «o» or «y» are no choice either. Of several the last one counts,
    as in «efectivo, mejor Nequi». An unaccepted means is reported only when no accepted one is chosen.
    """
    mentions = _mentions(folded)
    chosen: list[tuple[int, int, PaymentMethod]] = []
    refused: list[str] = []
    removed: list[str] = []
    used_until = 0
    asked = False
    for number, (start, end, meaning, accepted) in enumerate(mentions):
        before = folded[max(used_until, start - _REACH) : start]
        after = folded[end : end + _REACH]
        taken_back = _NOT_AFTER.match(after)
        if number + 1 < len(mentions) and _NEXT_IS_MEANT.fullmatch(folded[end : mentions[number + 1][0]]):
            taken_back = None
        if taken_back:
            used_until = end + taken_back.end()
        than = _THAN.search(before) and chosen and _PREFERS.search(folded[:start])
        if taken_back or than or _NOT_BEFORE.search(before):
            removed.append(meaning)
        elif not accepted:
            refused.append(meaning)
        elif _ASKS_BEFORE.search(before) and not _WISHED.search(before):
            asked = True
        elif not (asked and _ELSE.search(before)):
            chosen.append((start, end, _accepted(meaning)))
    method = chosen[-1][2] if chosen else None
    if len(chosen) > 1 and chosen[-2][2] != method and _OR.match(folded[chosen[-2][1] : chosen[-1][0]]):
        method = None
    return PaymentReading(
        method=method,
        refused=refused[-1] if refused and not chosen else None,
        removed=tuple(name for name in dict.fromkeys(removed) if name != method),
        spans=tuple((start, end) for start, end, _, _ in mentions),
    )


def _accepted(meaning: str) -> PaymentMethod:
    return next(method for _, method in _ACCEPTED if method == meaning)


def _mentions(folded: str) -> list[tuple[int, int, str, bool]]:
    """Return every mention of a means of payment in order: start, end, meaning, whether it is accepted."""
    pays = _PAYS.search(folded) is not None
    few_words = len(folded.split()) <= _WEAK_ALONE_WORDS and not _PLACE.search(folded)
    found: list[tuple[int, int, str, bool]] = []
    for match in _MENTION.finditer(folded):
        group = match.lastgroup or ""
        index = int(group[1:])
        start, end = match.span()
        if group[0] == "r":
            found.append((start, end, _REFUSED[index][1], False))
        elif group[0] == "a":
            found.append((start, end, _ACCEPTED[index][1], True))
        elif few_words or (_BEFORE_WEAK.search(folded[max(0, start - 20) : start]) and pays):
            found.append((start, end, _WEAK[index][1], True))
    covered = found[:]
    for word in _WORD.finditer(folded):
        if any(start < word.end() and word.start() < end for start, end, _, _ in covered):
            continue
        meaning = _misspelt(word.group())
        if meaning:
            found.append((*word.span(), meaning, meaning != "transferencia"))
    return sorted(found)


def _misspelt(word: str) -> str | None:
    """Return what a mistyped word means, or None: one slip of a typist or a recogniser, and no other word."""
    if word in _LOOKALIKES:
        return None
    sounds = word.replace("k", "qu").replace("v", "b").replace("quu", "qu")
    for name, meaning in _FUZZY:
        if abs(len(name) - len(sounds)) < 2 and OSA.distance(name.replace("v", "b"), sounds, score_cutoff=1) <= 1:
            return meaning
    return None

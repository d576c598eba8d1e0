"""What an agent asked last, by keywords in Spanish and English: it must work with any model's words."""

import re

from app.evals.scenario import Topic
from app.evals.words import plain

_SENTENCE = re.compile(r"[^.!?¿¡\n]*[^.!?¿¡\n\s][^.!?¿¡\n]*[.!?]?")
_ABBREVIATION = re.compile(r"\b(no|nro|num|cra|cll|apto|av)\.")
_ORDER = re.compile(
    r"\b(?:dime|digame|indica\w*|dame|deme|regala\w*|necesito (?:saber|que|la|el)|falta|escribe\w*|cuentame"
    r"|tell me|let me know|please (?:give|tell|provide|share)|i need)\b"
)

_TOWNS = ("barranquilla", "soledad", "puerto colombia", "galapa", "malambo")
_ADDRESS = re.compile(
    r"\b(?:calle|carrera|cra|diagonal|transversal|avenida|via|circunvalar)\b[^,]{0,12}\d|\d+\w? ?#|# ?\d+"
)
_FIRST: tuple[tuple[Topic, re.Pattern[str]], ...] = (
    (
        "change",
        re.compile(r"\b(?:que|cual|what|which)\b.{0,30}\b(?:cambi\w+|correg\w+|corrij\w+|modific\w+|change|correct\b)"),
    ),
    ("check_neighborhood", re.compile(r"^\W*(?:el barrio es|is the neighbou?rhood)\b")),
    ("corner", re.compile(r"\besquina\b.*\bplaca\b|\bcorner\b.*\bplate\b")),
)
_CONFIRM = re.compile(
    r"\bconfirm\w*|\bcorrect[oa]s?\b|\bde acuerdo\b|\besta (?:todo )?bien\b|\btodo bien\b|\bsi o no\b|\byes or no\b"
    r"|\bproced\w+|\bproceed\b|\b(?:lo|te lo|el taxi) (?:envi\w+|mand\w+|pid\w+)\b|\bintent\w+ otra vez\b|\btry again\b"
    r"|\bshall i\b|\bis (?:that|this|everything) (?:right|ok|okay)\b|\bcorrect\b"
)
_NEXT: tuple[tuple[Topic, re.Pattern[str]], ...] = (
    ("passengers", re.compile(r"\bcuant[oa]s? (?:personas|pasajer\w+|van|son|viajan)\b|\bhow many\b")),
    ("person", re.compile(r"\b(?:una persona|un asesor|un humano|un agente|a person|a human|an agent)\b")),
    ("payment", re.compile(r"\bpag\w+|\bforma de pago|\befectivo\b|\bnequi\b|\bpay\w*|\bcash\b")),
    (
        "specials",
        re.compile(
            r"\bespecial\w*|\balgo mas\b|\bobservaci\w+|\bnota\b|\badicional\w*|\bmascota\b|\bbaul\b|\brequer\w+"
            r"|\bspecial\b|\banything else\b|\bnote\b|\bluggage\b|\bpet\b"
        ),
    ),
    (
        "neighborhood",
        re.compile(
            r"\b(?:que|cual|cuales|which|what)\b(?:(?!direccion|address).){0,25}\b(?:barrio|sector|urbanizacion|neighbou?rhood)\b"
            r"|^(?!.*\b(?:direccion|address)\b).*\b(?:barrio|neighbou?rhood)\b"
        ),
    ),
    (
        "destination",
        re.compile(
            r"\b(?:a|hacia|para|hasta) (?:donde|que (?:lugar|direccion)) (?!.*recog)|\bdestino\b|\bdestination\b"
            r"|\bwhere .*\b(?:going|to go|drop|headed|heading)\b"
        ),
    ),
    ("when", re.compile(r"\bque hora\b|\b(?:para )?cuando\b|\bwhat time\b|\bwhen\b")),
    ("name", re.compile(r"\bnombre\b|\bcomo te llamas\b|\bcon quien\b|\bname\b")),
    ("phone", re.compile(r"\btelefono\b|\bcelular\b|\bphone\b")),
    (
        "address",
        re.compile(
            r"\bdireccion\b|\bdonde\b|\brecog\w+|\brecoj\w+|\bubicacion\b|\baddress\b|\bwhere\b|\bpick\b"
            r"|\bcalle\b|\bcarrera\b|\bcruza\b|\bvia\b|\bkilometro\b|\bnumero\b|\bplaca\b|\bstreet\b"
        ),
    ),
    ("taxi", re.compile(r"\btaxi\b|\bservicio\b|\bayud\w+|\bcab\b|\bride\b|\bhelp\b")),
)


def last_question(text: str) -> str | None:
    """Return the last question of an answer, or the last sentence that tells the rider to say something."""
    folded = _ABBREVIATION.sub(r"\1", plain(text))
    sentences: list[str] = [sentence.strip() for sentence in _SENTENCE.findall(folded)]
    asking = [sentence for sentence in sentences if sentence.endswith("?")]
    if asking:
        return asking[-1]
    return next((sentence for sentence in reversed(sentences) if _ORDER.search(sentence)), None)


def topic_of(text: str) -> Topic | None:
    """Return what the last question of an answer is about; None if nothing is asked, or nothing known."""
    question = last_question(text)
    if question is None:
        return None
    for topic, pattern in _FIRST:
        if pattern.search(question):
            return topic
    if _CONFIRM.search(question):
        return "confirm"
    towns = sum(town in question for town in _TOWNS)
    if towns > 1 or re.search(r"\b(?:que|cual|which|what)\b.{0,12}\b(?:municipio|ciudad|city|town)\b", question):
        return "city"
    for topic, pattern in _NEXT:
        if topic == "address" and (found := _of_addresses(question)):
            return found
        if pattern.search(question):
            return topic
    return _of_addresses(question)


def _of_addresses(question: str) -> Topic | None:
    """Return the topic of a question that shows addresses: to choose from, or one to be checked."""
    shown = len(_ADDRESS.findall(question))
    if shown > 1 and re.search(r"\bo\b|\bor\b", question):
        return "which_address"
    if shown and not re.search(r"\bcruza\b|\bnumero\b|\bcross\w*\b|\bfalta\b", question):
        return "check_address"
    return None

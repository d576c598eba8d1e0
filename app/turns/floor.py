"""Who has the floor when the rider speaks while the agent does. Pure.

The sound stops as soon as the rider is heard; what was meant shows when the utterance is over. A cough, a door, an
«ajá» is no wish to speak: the agent goes on where it stopped. A «sí» to a question that was not yet put is none
either, while one to the last words of an answer takes the turn, and the answer counts as heard.
"""

import re
import unicodedata
from typing import Literal

Verdict = Literal["resume", "interrupt", "answer"]
"""Go on speaking; end the turn with what was heard; end it as heard to the end. In the last two the rider is next."""

_LISTENING = frozenset(
    [
        *["aja", "aha", "ah", "aham", "ajam", "mhm", "mmh", "mm", "mmm", "hm", "hmm", "hum", "um", "uhum", "umju"],
        *["uju", "ujum", "eh", "em", "oh", "uh", "uy", "ay", "ja", "jaja", "jajaja"],
    ]
)
"""Sounds of somebody who listens, as recognisers write them."""
_AGREEING = frozenset(
    [
        *["si", "claro", "bueno", "ok", "okey", "okay", "vale", "ya", "listo", "dale", "perfecto", "entiendo"],
        *["entendido", "exacto", "correcto", "asi", "es", "eso", "bien", "muy", "de", "acuerdo", "gracias"],
    ]
)
"""Words of somebody who agrees: an answer only where something was asked."""
_TAKING = frozenset(
    [
        *["no", "nop", "espera", "espere", "esperate", "esperame", "espereme", "para", "pare", "alto", "basta", "stop"],
        *["cancela", "cancele", "cancelar", "cancelalo", "momento", "oye", "oiga", "alo", "hola", "disculpa", "perdon"],
        *["repite", "repita", "repiteme", "como", "que", "cual", "cuanto", "cuando", "donde", "quien", "mal", "error"],
        *["nequi", "daviplata", "efectivo", "tarjeta", "cambia", "cambie", "corrige", "humano", "ayuda", "callate"],
    ]
)
"""Words that take the floor however little is said. Another lone word is more likely a sound that a recogniser made
a word of."""
_BRIEF_MS = 800
"""Speech of three or four syllables. In so little a recogniser that knows no better hears words that nobody said: an
«ajá» becomes «la cháet». Who interrupts takes longer, or says a word of ``_TAKING``."""
_LAST_WORDS_MS = 700
"""Whoever speaks when so little is left to hear has heard the answer."""
_WORD = re.compile(r"[^\W_]+")


def judge(transcript: str, *, speech_ms: float, heard: str, unheard: str, remaining_ms: int | None) -> Verdict:
    """Return what an utterance means that came while the agent spoke.

    Args:
        transcript: What the rider said; empty where nobody understood it.
        speech_ms: How long that took, from its first sound to its last.
        heard: What of the answer was heard.
        unheard: What of it was not, as far as it is known.
        remaining_ms: How long that takes; None while more may come.
    """
    words = _words(transcript)
    if not words:
        return "resume"
    if remaining_ms is not None and remaining_ms <= _LAST_WORDS_MS:
        return "answer"
    if all(word in _LISTENING for word in words):
        return "resume"
    if "?" in heard and "?" not in unheard:
        return "interrupt"  # it may be an answer, whatever it is
    if all(word in _LISTENING or word in _AGREEING for word in words):
        return "resume"
    says_much = len(words) > 1 and speech_ms >= _BRIEF_MS
    return "interrupt" if says_much or any(word in _TAKING for word in words) else "resume"


def _words(text: str) -> list[str]:
    """Return the words of a text without accents, laughter and drawn-out sounds made one."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(each for each in plain if not unicodedata.combining(each)))

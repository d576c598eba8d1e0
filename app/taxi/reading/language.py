"""Which language a rider writes."""

import re

from app.taxi.phrases import Language
from app.taxi.text import compose, fold, word_set

_ENGLISH = word_set("""
i need the please to from my is at want would like cab ride can could you your send hello hi thanks thank yes where
how much what when address street cash card airport going go pick up am are english speak have with and for it on of
will pay by driver this that there here now tomorrow morning evening afternoon good book me in not don't i'm i'd it's
how's long does do cost house home near hotel people
""")
_SPANISH = word_set("""
de la el en un una que por para con mi es y necesito quiero los las del al lo se si favor gracias buenas buenos dias
tardes noches hola taxi calle carrera barrio donde cuanto cual como estoy voy pago efectivo soy somos me tengo esta
este esa su te le ya mas muy bien porfa manda
""")
_SHARED = frozenset({"me", "taxi", "no"})
_LETTERS = re.compile(r"[a-z']+")

_READ_AT_MOST = 1_000
"""A sentence has shown its language by then; the rest of a flood of text is not looked at."""


def language(text: str) -> Language:
    """Say which language a rider writes; Spanish where a sentence is too short or too mixed to tell."""
    words = [word for word in _LETTERS.findall(fold(compose(text[:_READ_AT_MOST]))) if word not in _SHARED]
    english = sum(word in _ENGLISH for word in words)
    spanish = sum(word in _SPANISH for word in words)
    return "en" if english >= 2 and english > spanish else "es"

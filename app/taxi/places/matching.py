"""Finding names in text: exact phrases first, then words one slip away, then near phrases where a name is expected."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from app.taxi.places.lexicon import words
from app.taxi.places.sounds import sound_key
from app.taxi.places.tokens import Token, tokenize

T = TypeVar("T")
ARTICLES: Final = frozenset({"el", "la", "los", "las"})
_MIN_FUZZY: Final = 5
_NEAR_CUTOFF: Final = 82.0
_ALONE_CUTOFF: Final = 88.0
# Everyday words one slip away from a name; they are never taken for a misspelt name.
_COMMON: Final = words(
    "plaza playa dentro entro grado pardo modulo montar centra center recibe villas calle carrera norte llegar "
    "llego manda mando parque parte puerta puerto porque media medio salud salir salgo sale libre tarde luces "
    "nubes nieve favor buenas noches bueno buena ahora persona personas minutos maletas efectivo tarjeta nequi "
    "gracias servicio conductor direccion barrio taxi carro necesito quiero quisiera puede pueden mandar "
    "enviar recoger recogerme esquina frente lado cerca entrada casa torre bloque apartamento edificio "
    "conjunto piso local oficina numero hasta desde hacia donde cuando cuanto cuesta cobran vale listo claro "
    "digo mejor perdon momento espere espera hola alo buenos tardes senor senora viajo viaje viajar llevar "
    "lleva llevo somos estoy estamos voy vamos tengo tiene traigo mascota perro equipaje grande pequena "
    "camioneta parrilla aire destino origen recogida casas quinta marta maria mario carla carlos central "
    "centros prada pradera lindo verde blanca rosas flores santo santa"
)

_SHORT_TEXT: Final = 40
_LINKING: Final = frozenset({"es", "era", "seria"})
_FOLLOWING: Final = words(
    "con en de para por y pago pagando pagamos cancelo efectivo nequi daviplata tarjeta gracias porfa porfavor llevo "
    "voy vamos somos soy necesito please"
)
"""Words that begin something else: a name before them has ended."""
_CONTINUING: Final = frozenset({"comercial", "medico", "empresarial", "deportivo", "cultural"})
_SHORT_FORMS: Final = {
    "vila": "villa", "biya": "villa", "viya": "villa", "billa": "villa", "sta": "santa", "sto": "santo",
    "cdad": "ciudad", "snta": "santa", "cdla": "ciudadela", "gral": "general",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phrase(Generic[T]):
    """A way to say a name.

    Attributes:
        words: folded words.
        entry: what it names.
        cue: "" when it always counts, "soft" or "strict" when it needs a word before it that announces a place.
        name: readable form, compared in near matches.
    """

    words: tuple[str, ...]
    entry: T
    cue: str
    name: str


@dataclass(frozen=True, slots=True)
class Hit(Generic[T]):
    """A phrase found: entry, score 0..100, and the tokens it covers."""

    entry: T
    score: float
    first: int
    after: int


def phrase_words(name: str) -> tuple[str, ...]:
    """Folded words of a name, numbers in digits ("Veinte de Julio" is 20 de julio)."""
    return tuple(token.text for token in tokenize(name) if token.kind in {"word", "number"})


def _deletions(word: str) -> Iterator[str]:
    yield word
    for index in range(len(word)):
        yield word[:index] + word[index + 1 :]


class Speller:
    """Corrects single words to a vocabulary: same sound, or one slip of the finger."""

    def __init__(self, words: Sequence[str], *, shortest: int = _MIN_FUZZY + 1) -> None:
        """Learn a vocabulary.

        Args:
            words: the right spellings.
            shortest: shorter words are corrected only when they sound the same, because too many everyday words are
                one slip away ("plata", "placa" and "plaza" from "playa").
        """
        self._shortest = shortest
        self._known = frozenset(words)
        self._by_sound: dict[str, str] = {}
        self._by_deletion: dict[str, list[str]] = {}
        for word in sorted(self._known):
            if len(word) < _MIN_FUZZY or not word.isalpha():
                continue
            self._by_sound.setdefault(sound_key(word), word)
            for variant in _deletions(word):
                self._by_deletion.setdefault(variant, []).append(word)

    def correct(self, word: str) -> str:
        """Return the vocabulary word meant by ``word``, or ``word`` itself."""
        if word in _SHORT_FORMS and word not in self._known:
            return _SHORT_FORMS[word]
        if len(word) < _MIN_FUZZY or len(word) > 20 or word in self._known or word in _COMMON:
            return word
        same = self._by_sound.get(sound_key(word))
        if same is not None:
            return same
        if len(word) < self._shortest:
            return word
        found = {
            known
            for variant in _deletions(word)
            for known in self._by_deletion.get(variant, ())
            if known[0] == word[0] and OSA.distance(known, word, score_cutoff=1) <= 1
        }
        return found.pop() if len(found) == 1 else word


class PhraseIndex(Generic[T]):
    """Phrases by their first word."""

    def __init__(self, phrases: Sequence[Phrase[T]], *, blocked_before: frozenset[str] = frozenset()) -> None:
        """Index phrases.

        Args:
            phrases: all forms of all names.
            blocked_before: words that make a following name part of another ("edificio Miramar").
        """
        self._by_first: dict[str, list[Phrase[T]]] = {}
        for phrase in sorted(phrases, key=lambda item: -len(item.words)):
            self._by_first.setdefault(phrase.words[0], []).append(phrase)
        self._speller = Speller([word for phrase in phrases for word in phrase.words])
        self._blocked_before = blocked_before
        self._near: dict[str, list[Phrase[T]]] = {}
        for phrase in phrases:
            self._near.setdefault(" ".join(phrase.words), []).append(phrase)
        self._near_names = list(self._near)
        self._plain_names = [
            name for name, known in self._near.items() if any(phrase.cue != "strict" for phrase in known)
        ]

    def find(
        self, tokens: Sequence[Token], *, announcing: frozenset[str], leading: frozenset[str], masked: frozenset[int]
    ) -> list[Hit[T]]:
        """Find names, leftmost and longest first, never overlapping (equal names share a span).

        Args:
            tokens: the text.
            announcing: words such as "barrio" after which every name counts, also misspelt.
            leading: words such as "en" after which softly cued names count.
            masked: token positions that belong to something else.

        Returns:
            Hits in order of the text.
        """
        hits: list[Hit[T]] = []
        corrected: dict[int, str] = {}
        position = 0
        asked = 0
        while position < len(tokens):
            found = [] if position in masked else self._at(tokens, position, announcing, leading, masked, corrected)
            if not found and asked < 4 and position not in masked and previous_word(tokens, position) in announcing:
                asked += 1
                found = self.near(tokens, position)
            if found:
                hits.extend(found)
                position = found[0].after
            else:
                position += 1
        return hits

    def _at(
        self, tokens: Sequence[Token], position: int, announcing: frozenset[str], leading: frozenset[str],
        masked: frozenset[int], corrected: dict[int, str],
    ) -> list[Hit[T]]:  # fmt: skip
        """Hits that begin at a token: the longest phrases only."""

        def word(index: int) -> str:
            if index not in corrected:
                token = tokens[index]
                corrected[index] = self._speller.correct(token.text) if token.kind == "word" else token.text
            return corrected[index]

        if tokens[position].kind not in {"word", "number"}:
            return []
        found: list[Hit[T]] = []
        size = 0
        for phrase in self._by_first.get(word(position), ()):
            if size and len(phrase.words) < size:
                break
            after = position + len(phrase.words)
            if after > len(tokens) or any(i in masked for i in range(position, after)):
                continue
            if any(word(position + i) != phrase.words[i] for i in range(len(phrase.words))):
                continue
            if not self._counts(tokens, position, after, phrase.cue, announcing, leading, masked):
                continue
            said = " ".join(token.text for token in tokens[position:after])
            exact = said == " ".join(phrase.words)
            score = 100.0 if exact else round(fuzz.ratio(said, " ".join(phrase.words)), 1)
            found.append(Hit(phrase.entry, score, position, after))
            size = len(phrase.words)
        return found

    def _counts(
        self, tokens: Sequence[Token], first: int, after: int, cue: str, announcing: frozenset[str],
        leading: frozenset[str], masked: frozenset[int],
    ) -> bool:  # fmt: skip
        """Whether the words around allow a name here."""
        before = previous_word(tokens, first)
        if before in announcing:
            return True
        if self._blocked(tokens, first):
            return False
        if _word(tokens, after) in _CONTINUING:
            return False
        if not cue:
            return True
        if self._alone(tokens, first, after, leading | ARTICLES if cue == "soft" else frozenset(), masked):
            return True
        return cue == "soft" and (before in leading or before in {"al", "del"} or _fenced(tokens, first, after, masked))

    @staticmethod
    def _alone(
        tokens: Sequence[Token], first: int, after: int, leading: frozenset[str], masked: frozenset[int]
    ) -> bool:
        """Whether nothing else is said but what is masked and the words of ``leading``."""
        if len(tokens) > _SHORT_TEXT:
            return False
        return all(
            i in masked or first <= i < after or token.kind == "sign" or token.text in leading
            for i, token in enumerate(tokens)
        )

    def _blocked(self, tokens: Sequence[Token], first: int) -> bool:
        index = first - 1
        for _ in range(2):
            if _word(tokens, index) in {"de", "del", "la", "el", "los", "las"}:
                index -= 1
        return _word(tokens, index) in self._blocked_before

    def near(self, tokens: Sequence[Token], position: int, *, announced: bool = True) -> list[Hit[T]]:
        """Find the name most like the one to four words at a token, when it is like enough.

        Args:
            tokens: the text.
            position: where the name begins.
            announced: a word such as "barrio" stands before it, so names that are ordinary words count too.
        """
        names = self._near_names if announced else self._plain_names
        cutoff = _NEAR_CUTOFF if announced else _ALONE_CUTOFF
        words: list[str] = []
        best: tuple[float, str, int] | None = None
        for index in range(position, min(position + 4, len(tokens))):
            if tokens[index].kind not in {"word", "number"}:
                break
            words.append(tokens[index].text[:30])
            said = " ".join(words)
            if len(said) < _MIN_FUZZY:
                continue
            match = process.extractOne(said, names, scorer=fuzz.ratio, score_cutoff=cutoff)
            if match is not None and (best is None or match[1] > best[0]):
                best = (float(match[1]), match[0], index + 1)
        if best is None:
            return []
        return [Hit(phrase.entry, round(best[0], 1), position, best[2]) for phrase in self._near[best[1]]]


def _word(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) and tokens[index].kind == "word" else ""


def _fenced(tokens: Sequence[Token], first: int, after: int, masked: frozenset[int]) -> bool:
    """Whether a name stands between commas, the ends of the text or the address ("calle 63B # 22-45, Los Andes")."""
    open_left = first == 0 or first - 1 in masked or tokens[first - 1].kind == "sign"
    ends = after >= len(tokens) or after in masked or tokens[after].kind == "sign"
    return open_left and (ends or _word(tokens, after) in _FOLLOWING)


def previous_word(tokens: Sequence[Token], position: int) -> str:
    """The word before a position; a point of an abbreviation and the "es" of "el barrio es..." are skipped."""
    index = position - 1
    if _word(tokens, index) in _LINKING:
        index -= 1
    if 0 <= index < len(tokens) and tokens[index].text in {".", ":", '"', "«", "“"}:
        index -= 1
    return _word(tokens, index)

"""The places of the metropolitan area of Barranquilla: municipalities, neighbourhoods and places of interest.

The data are in ``data/``, each file with its source and date. After loading everything is pure look-up.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from rapidfuzz.distance import OSA

from app.taxi.places.lexicon import words
from app.taxi.places.matching import ARTICLES, Hit, Phrase, PhraseIndex, phrase_words, previous_word
from app.taxi.places.sounds import sound_key
from app.taxi.places.tokens import Token, tokenize


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """A barrio.

    Attributes:
        name: as written by the municipality.
        zone: localidad in Barranquilla, None elsewhere.
        city: municipality.
        aliases: other names.
    """

    name: str
    zone: str | None
    city: str
    aliases: tuple[str, ...] = ()


_SHORTEST_SOUND: Final = 5
"""Letters of a name; shorter ones sound like too many others."""
_ALIKE: Final = 0.7
"""How alike two names must sound for one to be offered for the other, 1 being the same."""
_APART: Final = 0.08
"""How much less the next best name must be alike."""


@dataclass(frozen=True, slots=True)
class Match:
    """A neighbourhood named in a text, with its span; ``score`` is 100 for an exact name."""

    neighborhood: Neighborhood
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PlaceOfInterest:
    """A place known by name.

    Attributes:
        name: display name.
        city: municipality.
        neighborhood: barrio, when known.
        kind: "airport", "mall", "clinic"...
        aliases: other names.
        verified: False when the fact is from memory.
    """

    name: str
    city: str
    neighborhood: str | None
    kind: str
    aliases: tuple[str, ...] = ()
    verified: bool = True


@dataclass(frozen=True, slots=True)
class PlaceMatch:
    """A place of interest named in a text, with its span; ``score`` is 100 for an exact name."""

    place: PlaceOfInterest
    score: float
    start: int
    end: int


_ANNOUNCING: Final = words("barrio barrios bario varrio urbanizacion urb ciudadela sector vereda corregimiento brr")
_LEADING: Final = words("en por para pa hasta hacia desde a vivo estoy")
_TOWARDS: Final = _LEADING | frozenset(["de", "del", "al", "destino", "ciudad"])
_BLOCKING: Final = words(
    "avenida av calle carrera cra cll via universidad clinica hospital parque edificio conjunto colegio hotel "
    "iglesia restaurante plaza glorieta banco puente estadio supermercado tienda mall cc comercial residencial "
    "parroquia empresarial medico industrial farmacia drogueria centro autopista monumento panaderia "
    "ferreteria torre torres senor senora don dona"
)
_NAME_CUES: Final = words("llamo nombre soy llama senora senor don dona sra sr pasajero pasajera")
_NAME_ENDS: Final = words("en de del para desde estoy y necesito vivo voy al quiero calle carrera el la los las barrio")
_FAR_BLOCKING: Final = words(
    "via salida carretera avenida calle edificio conjunto restaurante hotel banco universidad puente vuelo "
    "vengo soy llegue llego viene venimos llegando parque colegio barrio urbanizacion clinica almacen troncal "
    "autopista avion"
)
_CITY_BLOCKING: Final = words("via carretera calle senora dona avenida parque edificio villa colegio clinica carrera")


def _load(name: str) -> dict[str, Any]:
    text = resources.files("app.taxi.places").joinpath("data", name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _read_neighborhoods(document: dict[str, Any]) -> list[tuple[Neighborhood, str]]:
    """Neighbourhoods with their cue."""
    out = []
    for municipality in document["municipalities"]:
        for group in municipality["groups"]:
            for item in group["neighborhoods"]:
                fields = {"name": item} if isinstance(item, str) else item
                barrio = Neighborhood(
                    fields["name"], group["zone"], municipality["name"], tuple(fields.get("aliases", ()))
                )
                out.append((barrio, fields.get("cue", "")))
    return out


def _neighborhood_phrases(known: list[tuple[Neighborhood, str]]) -> list[Phrase[Neighborhood]]:
    phrases = []
    for barrio, cue in known:
        if cue == "city":
            continue
        seen = set()
        for form in (barrio.name, *barrio.aliases):
            words = phrase_words(form)
            # An alias with its own article ("el centro") says clearly what the bare word ("centro") does not.
            own = "soft" if cue == "strict" and form != barrio.name and len(words) > 1 else cue
            if words not in seen:
                phrases.append(Phrase(words, barrio, own, form))
                seen.add(words)
            if words[0] in ARTICLES and len(words) > 1 and words[1:] not in seen:
                phrases.append(Phrase(words[1:], barrio, "strict", form))
                seen.add(words[1:])
    return phrases


class Gazetteer:
    """Look-up of places in text. Build it with ``Gazetteer.load()``."""

    def __init__(
        self, *, neighborhoods: dict[str, Any], municipalities: dict[str, Any], elsewhere: dict[str, Any],
        places: dict[str, Any], grid: dict[str, Any],
    ) -> None:  # fmt: skip
        """Index the data documents (see ``data/``)."""
        self._crossed = {int(carrera): (low, high) for carrera, (low, high) in grid["carreras"].items()}
        self._lettered = frozenset(f"{kind} {ident}" for kind, idents in grid["lettered"].items() for ident in idents)
        known = _read_neighborhoods(neighborhoods)
        self.all_neighborhoods: tuple[Neighborhood, ...] = tuple(barrio for barrio, _ in known)
        self._bare_names = {barrio: _without_article(phrase_words(barrio.name)) for barrio in self.all_neighborhoods}
        self._by_bare_name: dict[tuple[str, tuple[str, ...]], list[Neighborhood]] = {}
        for barrio, bare in self._bare_names.items():
            self._by_bare_name.setdefault((barrio.city, bare), []).append(barrio)
        self._barrios = PhraseIndex(_neighborhood_phrases(known), blocked_before=_BLOCKING)
        self._sounds = tuple(
            (_sound_of(form), barrio) for barrio in self.all_neighborhoods for form in (barrio.name, *barrio.aliases)
        )
        cities = [
            Phrase(phrase_words(form), item["name"], "", form)
            for item in municipalities["municipalities"]
            for form in (item["name"], *item["aliases"])
        ]
        self.cities: tuple[str, ...] = tuple(item["name"] for item in municipalities["municipalities"])
        self._cities = PhraseIndex(cities, blocked_before=_CITY_BLOCKING)
        cued = set(elsewhere["cue"])
        far = [
            Phrase(phrase_words(form), name, "soft" if name in cued else "", form)
            for group in ("atlantico", "colombia", "abroad")
            for name in elsewhere[group]
            for form in (name, *elsewhere["aliases"].get(name, ()))
        ]
        self._far = PhraseIndex(far, blocked_before=_FAR_BLOCKING)
        self.all_places: tuple[PlaceOfInterest, ...] = tuple(
            PlaceOfInterest(
                item["name"], item["city"], item["neighborhood"], item["kind"], tuple(item["aliases"]),
                not item.get("unverified", False),
            )
            for item in places["places"]
        )  # fmt: skip
        self._places = PhraseIndex(
            [
                Phrase(phrase_words(form), place, "", form)
                for place in self.all_places
                for form in dict.fromkeys((place.name, *place.aliases))
            ]
        )

    @classmethod
    def load(cls) -> "Gazetteer":
        """Return the gazetteer of the packaged data; it is read once a process."""
        return _packaged()

    def crosses(self, carrera: int, calle: int, *, margin: int = 0) -> bool:
        """Whether a carrera is known to reach a calle of the city's grid, give or take ``margin`` calles."""
        reach = self._crossed.get(carrera)
        return reach is not None and reach[0] - margin <= calle <= reach[1] + margin

    def has_street(self, street: str) -> bool:
        """Whether a street with letters ("Carrera 42B1") was seen in the city's data."""
        return street in self._lettered

    def neighborhoods(self, text: str, *, city: str | None = None) -> list[Match]:
        """Find neighbourhoods named in a text.

        Args:
            text: what the rider said.
            city: keep only those of this municipality.

        Returns:
            Matches, best first; several of equal name and span lie in several municipalities or localidades, and the
            rider must be asked which.
        """
        return self.neighborhoods_in(tokenize(text), city=city)

    def neighborhoods_in(
        self, tokens: list[Token], *, city: str | None = None, masked: frozenset[int] = frozenset()
    ) -> list[Match]:
        """As ``neighborhoods``, on tokens, some of which already belong to something else."""
        masked |= _masked_names(tokens) | _masked_dates(tokens)
        hits = self._barrios.find(tokens, announcing=_ANNOUNCING, leading=_LEADING, masked=masked)
        if not hits:
            hits = self._alone(tokens, masked)
        matches = [
            Match(hit.entry, hit.score, tokens[hit.first].start, tokens[hit.after - 1].end)
            for hit in self._narrow(hits, tokens)
            if city is None or hit.entry.city == city
        ]
        if city is not None and not matches and hits:
            matches = self._same_name_in(city, hits, tokens)
        announced = {tokens[hit.first].start for hit in hits if previous_word(tokens, hit.first) in _ANNOUNCING}
        return sorted(
            matches,
            key=lambda match: (-match.score, match.start not in announced, match.start - match.end, match.start),
        )

    def _alone(self, tokens: list[Token], masked: frozenset[int]) -> list[Hit[Neighborhood]]:
        """A short text that is nothing but a misspelt name."""
        words = [i for i, token in enumerate(tokens) if token.kind in {"word", "number"}]
        while words and tokens[words[0]].text in _LEADING:
            del words[0]
        if not words or len(words) > 4 or masked or any(tokens[i].kind == "phone" for i in range(len(tokens))):
            return []
        if self._far.find(tokens, announcing=frozenset(), leading=_TOWARDS, masked=masked) or self.city_in(tokens):
            return []
        hits = self._barrios.near(tokens, words[0], announced=False)
        return [hit for hit in hits if hit.after > words[-1]]

    @staticmethod
    def _narrow(hits: list[Hit[Neighborhood]], tokens: list[Token]) -> list[Hit[Neighborhood]]:
        """Among equal spans prefer the full name over the name without its article."""
        out = []
        by_span: dict[int, list[Hit[Neighborhood]]] = {}
        for hit in hits:
            by_span.setdefault(hit.first, []).append(hit)
        for hit in hits:
            said = tuple(token.text for token in tokens[hit.first : hit.after])
            rivals = by_span[hit.first]
            if said[0] not in ARTICLES and len({rival.entry.name for rival in rivals}) > 1:
                full = [rival for rival in rivals if phrase_words(rival.entry.name) == said]
                if full and hit not in full:
                    continue
            out.append(hit)
        return out

    def _same_name_in(self, city: str, hits: list[Hit[Neighborhood]], tokens: list[Token]) -> list[Match]:
        """Neighbourhoods of ``city`` whose name differs only by the article ("El Prado, Soledad")."""
        found = [
            Match(barrio, hit.score, tokens[hit.first].start, tokens[hit.after - 1].end)
            for hit in hits
            for barrio in self._by_bare_name.get((city, self._bare_names[hit.entry]), ())
        ]
        return list(dict.fromkeys(found))

    def sounding_like(self, name: str, *, city: str | None = None) -> tuple[str, float] | None:
        """Find the neighbourhood that a misheard name is most likely to be.

        Recognisers part and join words and take one sound for another: "Mira Mars" is Miramar.

        Args:
            name: what was understood, and nothing besides.
            city: only neighbourhoods of this municipality.

        Returns:
            Its name, and how alike they sound, from ``_ALIKE`` to 1; None where none is alike, or several are.
        """
        said = _sound_of(name)
        if len(said) < _SHORTEST_SOUND:
            return None
        best: dict[str, float] = {}
        for sound, barrio in self._sounds:
            if city is None or barrio.city == city:
                alike = OSA.normalized_similarity(said, sound, score_cutoff=_ALIKE)
                best[barrio.name] = max(alike, best.get(barrio.name, 0.0))
        ranked = sorted(best.items(), key=lambda each: -each[1])[:2]
        if not ranked or ranked[0][1] < _ALIKE:
            return None
        if len(ranked) > 1 and ranked[0][1] - ranked[1][1] < _APART:
            return None
        return ranked[0]

    def zone_of(self, neighborhood: str, city: str) -> str | None:
        """Localidad of a neighbourhood by its exact name; None when unknown or in several."""
        zones = {barrio.zone for barrio in self.all_neighborhoods if (barrio.name, barrio.city) == (neighborhood, city)}
        return zones.pop() if len(zones) == 1 else None

    def city(self, text: str) -> str | None:
        """Municipality of the metropolitan area named in a text, or None."""
        hit = self.city_in(tokenize(text))
        return hit.entry if hit else None

    def city_in(self, tokens: list[Token], *, masked: frozenset[int] = frozenset()) -> Hit[str] | None:
        """As ``city``, on tokens, with the tokens it covers."""
        barrio = frozenset(i for i in range(len(tokens) - 1) if tokens[i + 1].text == "2000")  # Soledad 2000
        hits = self._cities.find(
            tokens, announcing=frozenset(), leading=_TOWARDS, masked=masked | barrio | _masked_names(tokens)
        )
        return hits[0] if hits else None

    def elsewhere(self, text: str) -> str | None:
        """Display name of a place outside the metropolitan area named in a text, or None."""
        tokens = tokenize(text)
        masked = _masked_names(tokens) | frozenset(
            i for i in range(2, len(tokens)) if tokens[i - 1].text == "de" and len(tokens[i - 2].text) == 1
        )  # "b de Bogotá" spells a letter
        hits = self._far.find(tokens, announcing=frozenset(), leading=_TOWARDS, masked=masked)
        return hits[0].entry if hits else None

    def places_of_interest(self, text: str) -> list[PlaceMatch]:
        """Find places of interest named in a text, in its order."""
        return self.places_in(tokenize(text))

    def places_in(self, tokens: list[Token], *, masked: frozenset[int] = frozenset()) -> list[PlaceMatch]:
        """As ``places_of_interest``, on tokens."""
        barrio = frozenset(
            i for i in range(1, len(tokens)) if tokens[i - 1].text in _ANNOUNCING
        )  # "barrio Buenavista" is no mall
        hits = self._places.find(tokens, announcing=frozenset(), leading=_LEADING, masked=masked | barrio)
        return [PlaceMatch(hit.entry, hit.score, tokens[hit.first].start, tokens[hit.after - 1].end) for hit in hits]


def _sound_of(name: str) -> str:
    """Return how a name sounds, in one piece and without its article."""
    return sound_key("".join(_without_article(phrase_words(name) or ("",))))


def _without_article(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[1:] if words[0] in ARTICLES and len(words) > 1 else words


def _masked_names(tokens: list[Token]) -> frozenset[int]:
    """Positions of what follows "me llamo", "soy", "a nombre de": a person's name, not a place."""
    masked: set[int] = set()
    for index, token in enumerate(tokens):
        if token.kind != "word" or token.text not in _NAME_CUES:
            continue
        if token.text == "llama" and (
            index < 2 or tokens[index - 2].kind != "word" or tokens[index - 2].text in _ANNOUNCING
        ):
            continue  # "(el barrio) se llama San Felipe"
        begin = index + 1
        if token.text == "nombre" and begin < len(tokens) and tokens[begin].text in {"de", "es"}:
            begin += 1
        for position in range(begin, min(begin + 3, len(tokens))):
            if tokens[position].kind != "word" or tokens[position].text in _NAME_ENDS:
                break
            masked.add(position)
    return frozenset(masked)


def _masked_dates(tokens: list[Token]) -> frozenset[int]:
    """Positions of dates that are also names of barrios: "mañana 20 de julio", "el 7 de agosto"."""
    masked: set[int] = set()
    for index in range(1, len(tokens) - 2):
        if tokens[index].kind != "number" or tokens[index + 1].text != "de":
            continue
        before, earlier = tokens[index - 1].text, tokens[index - 2].text if index > 1 else ""
        if before in {"dia", "manana", "hoy", "fecha"} or (before == "el" and earlier in {"para", "", ","}):
            masked.update((index, index + 1, index + 2))
    return frozenset(masked)


@lru_cache(maxsize=1)
def _packaged() -> Gazetteer:
    return Gazetteer(
        neighborhoods=_load("neighborhoods.json"),
        municipalities=_load("municipalities.json"),
        elsewhere=_load("elsewhere.json"),
        places=_load("places.json"),
        grid=_load("grid.json"),
    )

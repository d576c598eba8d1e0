"""What one sentence of a rider says beside the pick-up address, all of it together."""

import re
from dataclasses import dataclass
from functools import lru_cache

from app.models.booking import PaymentMethod
from app.taxi.reading.destination import find_destinations, find_marked_afterwards
from app.taxi.reading.features import read_features
from app.taxi.reading.name import read_name
from app.taxi.reading.notes import read_notes
from app.taxi.reading.passengers import read_passengers
from app.taxi.reading.payment import read_payment
from app.taxi.reading.phone import read_phone
from app.taxi.reading.when import read_when
from app.taxi.text import blank, compose, fold

DESTINATION = "destino"
"""What `Slots.removed` calls a destination that was taken back."""


@dataclass(frozen=True, slots=True)
class Slots:
    """What one sentence of a rider says, apart from the pick-up address."""

    payment_method: PaymentMethod | None = None
    refused_payment: str | None = None
    """A means of payment that is not accepted, by the name to show."""
    vehicle_features: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """For the driver, in the third person."""
    passenger_name: str | None = None
    passengers: int | None = None
    when: str | None = None
    """«ahora», «07:00», «mañana 19:30», «en 30 minutos»; «a las 7:00» where the half of the day was not said."""
    destination: str | None = None
    """As it was said."""
    goes_there: bool = False
    """The place said before is where the ride goes: «ahí es para donde voy»."""
    phone: str | None = None
    """A Colombian mobile number, ten digits."""
    removed: tuple[str, ...] = ()
    """Features, notes, payment methods and `DESTINATION` that the sentence takes back."""


def read_slots(text: str) -> Slots:
    """Read what a sentence says, apart from the pick-up address."""
    text = compose(text)
    folded = fold(text)
    return _read(text, folded)[0]


def without_destination(text: str) -> str:
    """Return the sentence, as long as it is, with its destination blanked out: a pick-up can be read from the rest."""
    _, spans = _read(text, fold(text))
    for start, end in spans:
        text = blank(text, start, end)
    return text


@lru_cache(maxsize=64)
def _read(text: str, folded: str) -> tuple[Slots, tuple[tuple[int, int], ...]]:
    """Return the slots of a sentence and where its destinations stand; read once, however many ask in a turn."""
    payment = read_payment(folded)
    time = read_when(folded)
    passengers = read_passengers(folded)
    name = read_name(text, folded)
    features = read_features(folded)
    notes = read_notes(folded)
    spans = (span for each in (payment, time, passengers, name, features, notes) for span in each.spans)
    destinations, taken_back = find_destinations(folded, sorted(_lead(folded, start) for start, _ in spans))
    destination, goes_there = None, False
    blanked = [(found.blank_from, found.end) for found in destinations]
    marked = find_marked_afterwards(folded)
    if marked is not None:
        said = " ".join(text[marked.start : marked.end].split())
        goes_there, destination = not said, said or None
        blanked.append((marked.blank_from, marked.end))
    elif destinations:
        last = destinations[-1]
        destination = last.article + " ".join(text[last.start : last.end].split())
    removed = [*payment.removed, *features.removed, *notes.removed]
    if taken_back and not destinations:
        removed.append(DESTINATION)
    slots = Slots(
        payment_method=payment.method,
        refused_payment=payment.refused,
        vehicle_features=features.wished,
        notes=notes.wished,
        passenger_name=name.name,
        passengers=passengers.passengers,
        when=time.when,
        destination=destination,
        goes_there=goes_there,
        phone=read_phone(folded),
        removed=tuple(dict.fromkeys(removed)),
    )
    return slots, tuple(blanked)


_LEAD = re.compile(
    r"(?:\b(?:y|e|pero|para|pa|voy a|quiero|puedo|prefiero|mejor|pago|pagar|pagare|pagando|cancelo|cancelar|el|la|"
    r"los|un|una|mi|mis|con|en|por|a|de|forma|medio|metodo|sera|seria|tengo|no|ni|sin|solo|llevo|llevamos"
    r"|viajo|tambien|que|tenga|sea|somos|es|necesito|soy|ademas|sale|recogeme|recojan|me|varias|varios|muchas|"
    r"muchos|unos|unas|algunas|mucho|(?:con|llevo|llevamos|tengo) (?:dos|tres|cuatro|cinco|\d))\W+)+$"
)


def _lead(folded: str, start: int) -> int:
    """Return where the small words before something start: «y pago con» before «nequi»."""
    before = max(0, start - 40)
    match = _LEAD.search(folded[before:start])
    return before + match.start() if match else start

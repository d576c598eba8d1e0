"""What a rider's words say, by rules alone. Pure: text in, values out; a file for each thing that can be said."""

from app.taxi.reading.answers import is_no, is_yes
from app.taxi.reading.chatter import is_chatter
from app.taxi.reading.corrections import corrects
from app.taxi.reading.half_of_day import choices, is_open, next_time
from app.taxi.reading.intents import Intent, intents
from app.taxi.reading.language import language
from app.taxi.reading.slots import Slots, read_slots, without_destination
from app.taxi.reading.unfinished import is_unfinished

__all__ = [
    "Intent",
    "Slots",
    "choices",
    "corrects",
    "intents",
    "is_chatter",
    "is_no",
    "is_open",
    "is_unfinished",
    "is_yes",
    "language",
    "next_time",
    "read_slots",
    "without_destination",
]

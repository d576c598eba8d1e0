"""Places of the metropolitan area of Barranquilla and addresses as riders say them. Pure but for loading the data."""

from app.taxi.places.addresses import Reading, Status, parse_address, parse_addresses
from app.taxi.places.gazetteer import Gazetteer, Match, Neighborhood, PlaceMatch, PlaceOfInterest
from app.taxi.places.numerals import read_letters, read_number, spoken_to_digits
from app.taxi.places.vias import Address, Via, write_address

__all__ = [
    "Address",
    "Gazetteer",
    "Match",
    "Neighborhood",
    "PlaceMatch",
    "PlaceOfInterest",
    "Reading",
    "Status",
    "Via",
    "parse_address",
    "parse_addresses",
    "read_letters",
    "read_number",
    "spoken_to_digits",
    "write_address",
]

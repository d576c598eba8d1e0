"""What riders are likely to say, for recognisers that can be told: words of addresses, names of places. Pure."""

from collections.abc import Sequence

from app.taxi.places.gazetteer import Gazetteer

_PHRASES = (
    "Necesito un taxi en la calle setenta y dos número cuarenta y tres veinticinco",
    "carrera cincuenta y uno be número setenta y nueve cuarenta, barrio El Prado",
    *("pago en efectivo", "con Nequi", "Daviplata", "sí, confirmo", "diagonal", "transversal"),
)
"""How bookings are put. Recognisers that go by a prompt write numbers as they stand here, in words: figures would not
tell «cuarenta y tres veinticinco» from «cuatro mil trescientos veinticinco»."""
_FIRST = (
    *("El Prado", "Alto Prado", "Boston", "Villa Country", "Riomar", "Ciudad Jardín", "Buenavista", "Paraíso"),
    *(
        "Viva Barranquilla",
        "Portal del Prado",
        "Universidad del Norte",
        "Aeropuerto Ernesto Cortissoz",
        "La Concepción",
    ),
    *("Villa Santos", "Las Delicias", "Recreo", "San Francisco", "Olaya", "Soledad", "Puerto Colombia", "Galapa"),
)
"""Where taxis are called most, as an operator of the city would guess; the rest follows in the gazetteer's order."""


def key_terms(gazetteer: Gazetteer) -> Sequence[str]:
    """Return names, the likeliest first, each once. An engine takes as many as it can."""
    places = [place.name for place in gazetteer.all_places if place.verified]
    barrios = [barrio.name for barrio in gazetteer.all_neighborhoods if barrio.city in ("Barranquilla", "Soledad")]
    return tuple(dict.fromkeys((*_PHRASES, *_FIRST, *places, *barrios, *gazetteer.cities)))

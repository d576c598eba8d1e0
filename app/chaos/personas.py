"""Who calls: real streets of Barranquilla, a house of the rider's own, words for each question. Pure."""

import random
import re

from app.evals.scenario import ExpectedBooking, Rider
from app.evals.simulated_rider import SimulatedRider
from app.models.booking import PaymentMethod

_STREETS = (
    ("Calle 72 #43-25", "El Prado"),
    ("Carrera 52 #76-89", "El Prado"),
    ("Carrera 51B #79-40", "Altos del Prado"),
    ("Calle 45 #21-33", "El Carmen"),
    ("Calle 63B #27-51", "Los Andes"),
    ("Calle 84 #51B-23", "Riomar"),
    ("Calle 93 #46C-120", "Villa Santos"),
    ("Carrera 41C #59-28", "Boston"),
    ("Carrera 46 #80-17", "El Porvenir"),
    ("Carrera 46 #84-120", "La Campiña"),
    ("Carrera 57 #70-98", "La Concepción"),
    ("Calle 45 #15 Sur-20", "Ciudadela 20 de Julio"),
)
_PAYMENTS: dict[PaymentMethod, str] = {
    "efectivo": "En efectivo",
    "nequi": "Con Nequi",
    "daviplata": "Por Daviplata",
    "tarjeta": "Con tarjeta",
}
_PATIENCE = 1000
"""Turns: whatever breaks, this rider tries again; it is the storm's end that ends it."""


def plan_wish(seed: int, number: int) -> ExpectedBooking:
    """Return the taxi that a rider wants."""
    chance = random.Random(f"{seed}:wish:{number}")  # noqa: S311 - variety, not a secret
    address, neighborhood = chance.choice(_STREETS)
    house = re.sub(r"\d+$", str(chance.randint(11, 99)), address)
    return ExpectedBooking(
        address=house, neighborhood=neighborhood, payment_method=chance.choice(list(_PAYMENTS.keys()))
    )


def make_rider(wish: ExpectedBooking, seed: int, number: int) -> SimulatedRider:
    """Return a rider who says one thing at a time until the taxi comes."""
    rider = Rider.model_validate(
        {
            "opening": "Hola",
            "answers": {
                "taxi": "Necesito un taxi",
                "address": wish.address,
                "neighborhood": wish.neighborhood,
                "payment": _PAYMENTS[wish.payment_method],
                "specials": "No",
                "confirm": "Sí, confirmo",
            },
            "patience": _PATIENCE,
        }
    )
    return SimulatedRider(rider, wish, f"{seed}:{number}")

"""Whole turns of the offline clerk where people talk as people do."""

from datetime import datetime

import pytest

from app.taxi.moments import COLOMBIA
from tests.desk import open_desk

pytestmark = pytest.mark.integration

WORKDAY_NIGHT = datetime(2026, 1, 13, 22, 0, tzinfo=COLOMBIA)
WORKDAY_NOON = datetime(2026, 1, 13, 12, 0, tzinfo=COLOMBIA)
HERE = "un taxi en la Calle 72 #43-25, El Prado"


def clock(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize("before", [[HERE], [f"{HERE}, en efectivo, nada más"]])
async def test_a_no_for_the_price_ends_politely_and_nothing_is_sent(before: list[str]) -> None:
    async with open_desk() as desk:
        said = (await desk.talk(*before, "no, muy caro, gracias"))[-1]
        after = await desk.say("sí")

        assert said.end.text == "Listo, no pido el taxi. Si lo necesitas más tarde, aquí estoy."
        assert "DispatchToBackend" not in [*said.tools, *after.tools]
        assert not await desk.stores.bookings.list("t")


@pytest.mark.parametrize(
    ("now", "said", "words"),
    [
        (WORKDAY_NIGHT, "¿cuánto cuesta?", "Incluye además recargo nocturno de $1.800"),
        (WORKDAY_NIGHT, "how much is the ride please?", "It also includes the night surcharge of $1.800"),
        (WORKDAY_NOON, "¿cuánto cuesta a las 10 de la noche?", "Incluye además recargo nocturno de $1.800"),
        (WORKDAY_NIGHT, "¿cuánto cuesta mañana a las 10 de la mañana?", "La carrera mínima está en $8.000"),
        (WORKDAY_NOON, "¿cuánto cuesta al aeropuerto?", "recargo de aeropuerto de $4.900"),
    ],
)
async def test_a_price_is_that_of_the_ride_and_says_what_is_in_it(now: datetime, said: str, words: str) -> None:
    async with open_desk(now_ms=lambda: clock(now)) as desk:
        text = (await desk.talk(HERE, said))[-1].end.text

    assert words in text
    assert ("nocturno" in text or "night" in text) == ("nocturno" in words or "night" in words)


async def test_a_time_that_may_be_either_half_is_asked_before_anything_is_sent() -> None:
    async with open_desk(now_ms=lambda: clock(WORKDAY_NOON)) as desk:
        turns = await desk.talk(f"{HERE} mañana a las 7, en efectivo", "no sé", "de la noche", "no", "sí")
        [booking] = await desk.stores.bookings.list("t")

    assert "¿A qué hora te recogemos: a las 7:00 de la mañana o a las 7:00 de la noche?" in turns[0].end.text
    assert "a las 7:00 de la mañana o" in turns[1].end.text
    assert booking.pickup_time == "mañana 19:00"


async def test_small_talk_is_not_the_drivers_but_a_wish_is() -> None:
    async with open_desk() as desk:
        await desk.talk(f"{HERE}, en efectivo", "mmm bueno pues ahí vamos viendo", "sí", thread_id="talk")
        await desk.talk(f"{HERE}, en efectivo", "que entre por la portería de atrás", "sí", thread_id="wish")
        [talk] = await desk.stores.bookings.list("talk")
        [wish] = await desk.stores.bookings.list("wish")

    assert talk.observation == "Sin observaciones"
    assert "portería de atrás" in (wish.observation or "")


async def test_where_i_go_said_of_the_pick_up_makes_it_the_destination() -> None:
    async with open_desk() as desk:
        turns = await desk.talk(HERE, "ahí es para donde voy", "Calle 84 #51B-23, Riomar", "efectivo", "no", "sí")
        [booking] = await desk.stores.bookings.list("t")

    assert "dirección de recogida" in turns[1].end.text
    assert booking.pickup.address == "Calle 84 #51B-23"
    assert booking.destination is not None
    assert booking.destination.address == "Calle 72 #43-25"

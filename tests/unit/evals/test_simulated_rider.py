"""The simulated rider answers what was asked, and says yes to nothing but the right summary."""

from typing import Any

import pytest

from app.evals.scenario import ExpectedBooking, Rider
from app.evals.simulated_rider import SimulatedRider, misread

pytestmark = pytest.mark.unit

WANTED = ExpectedBooking(address="Calle 72 #43-25", neighborhood="El Prado", payment_method="nequi")
SUMMARY = "Te recogemos en Calle 72 #43-25, El Prado; pagas con Nequi. ¿Confirmas el taxi?"


def caller(**fields: Any) -> SimulatedRider:
    return SimulatedRider(Rider.model_validate({"opening": "Hola"} | fields), WANTED, "seed")


def test_the_opening_comes_first_whatever_is_heard() -> None:
    rider = caller(opening=["Hola", "un taxi"])
    assert [rider.next(""), rider.next(SUMMARY)] == [rider_said("Hola"), rider_said("un taxi")]


def rider_said(text: str, **fields: bool) -> Any:
    from app.evals.simulated_rider import Utterance

    return Utterance(text, **fields)


def test_asked_again_the_rider_says_the_next_line_and_then_the_last() -> None:
    rider = caller(answers={"payment": ["bitcoin", "nequi"]})
    rider.next("")
    said = [rider.next("¿Cómo vas a pagar?") for _ in range(3)]
    assert [each.text for each in said if each] == ["bitcoin", "nequi", "nequi"]


def test_a_right_summary_gets_a_consent_and_a_wrong_one_a_correction() -> None:
    rider = caller()
    rider.next("")
    wrong = rider.next(SUMMARY.replace("72", "73"))
    assert wrong is not None
    assert (wrong.text, wrong.consents) == ("No, la dirección es Calle 72 #43-25", False)
    right = rider.next(SUMMARY)
    assert right is not None
    assert right.consents


def test_a_yes_to_the_address_alone_is_no_consent() -> None:
    rider = caller()
    rider.next("")
    said = rider.next("¿Es correcto: Calle 72 #43-25, El Prado?")
    assert said is not None
    assert not said.consents


def test_who_wants_no_taxi_confirms_none() -> None:
    rider = SimulatedRider(Rider.model_validate({"opening": "Hola"}), None, "seed")
    rider.next("")
    said = rider.next(SUMMARY)
    assert said is not None
    assert (said.text, said.consents, said.leaves) == ("No, gracias", False, True)


def test_a_rider_who_is_misunderstood_for_ever_hangs_up() -> None:
    rider = caller()
    rider.next("")
    said = [rider.next("Te recogemos en Calle 1 #2-3; pagas con Nequi. ¿Confirmas?") for _ in range(5)]
    assert said[-1] is None
    assert rider.next(SUMMARY.replace("Nequi", "efectivo")) is None


def test_an_interjection_comes_once_and_then_the_question_is_answered() -> None:
    rider = caller(answers={"payment": "nequi"}, interjections=[{"at": "payment", "say": "espera"}])
    rider.next("")
    said = [rider.next("¿Cómo vas a pagar?"), rider.next("Claro, aquí te espero.")]
    assert [each.text for each in said if each] == ["espera", "nequi"]


def test_once_booked_only_the_afterwards_are_said() -> None:
    rider = caller(afterwards=["gracias"])
    rider.next("")
    rider.booked()
    assert rider.next("¿Algo más?") == rider_said("gracias")
    assert rider.next("¿Algo más?") is None


def test_the_same_seed_says_the_same_words() -> None:
    def talk(seed: str) -> list[str]:
        rider = SimulatedRider(Rider.model_validate({"opening": "Hola"}), WANTED, seed)
        heard = ["", "¿Necesitas un taxi?", "¿En qué barrio?", "¿Cómo vas a pagar?", "¿Algo especial?", SUMMARY]
        return [said.text for text in heard if (said := rider.next(text))]

    assert talk("a") == talk("a")
    assert any(talk("a") != talk(other) for other in "bcdef")


def test_what_a_summary_has_wrong() -> None:
    assert misread(WANTED, SUMMARY) == []
    assert misread(WANTED, SUMMARY.replace("Nequi", "tarjeta")) == ["payment"]
    assert misread(WANTED, SUMMARY.replace("El Prado", "Boston")) == ["neighborhood"]
    assert misread(WANTED, "¿Confirmas el taxi?") == ["address", "payment"]

"""The offline clerk: (messages, tools) to a reply, by rule. Pure.

It is told what any model is told, the system prompt with the facts in it and the conversation, and
answers with what any model answers with, words and tool calls. What it asked last it keeps in the
``notes`` of its own messages.
"""

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from app.models.booking import Place
from app.taxi.phrases import payment_name, phrase, state_name, who_comes
from app.taxi.places import Gazetteer
from app.taxi.reading import Intent, choices, corrects, is_chatter, is_no, is_open, is_yes
from app.taxi.scene import Answer, Scene
from app.taxi.summary import describe_place
from app.taxi.text import fold

_NUMBER_LENGTH = 8
"""Characters of a booking's id that are read to a rider."""
_MANY_MISSES = 2


class OfflinePolicy:
    """The four agents as rules."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        self._gazetteer = gazetteer
        self._agents: dict[str, Callable[[Scene], Answer]] = {
            "RECEPCIONISTA": _recepcionista,
            "NAVEGANTE": _navegante,
            "OPERADOR": _operador,
            "CONFIRMADOR": _confirmador,
        }

    def __call__(self, messages: Sequence[BaseMessage], tools: Sequence[str]) -> Answer:
        """Return words, tool calls and notes for the agent whose system prompt stands first."""
        scene = Scene(messages, self._gazetteer)
        agent = self._agents[scene.facts.get("agent", "RECEPCIONISTA")]
        return agent(scene)


def _recepcionista(scene: Scene) -> Answer:
    wants = scene.wants
    if answer := _after_service_tools(scene):
        return answer
    if scene.came_by("TransferToRecepcionista") and wants & {Intent.CANCEL, Intent.TURN_DOWN}:
        return scene.say("discarded")
    if answer := _aside(scene, pending=None):
        return answer
    if Intent.CANCEL in wants:
        return scene.call("CancelBooking")
    if Intent.STATUS in wants:
        return scene.call("BookingStatus")
    has_open_booking = bool(scene.booking) and scene.booking is not None and scene.booking["status"] != "cancelled"
    asks_for_taxi = bool(wants & {Intent.TAXI_REQUEST, Intent.ANOTHER}) or scene.gives_address
    if has_open_booking and not asks_for_taxi and scene.draft.pickup is None:
        if scene.gives_details:
            return scene.say("tell_driver")
        if is_yes(scene.heard):
            return scene.say("already", number=_number(scene), place=_booked_place(scene))
    elif (
        asks_for_taxi
        or not scene.draft.is_blank
        or scene.reading.neighborhood
        or (scene.asked == "taxi" and is_yes(scene.heard))
    ):
        return scene.call(
            "TransferToOperador" if scene.draft.pickup_ready and not scene.gives_address else "TransferToNavegante"
        )
    if asks_for_taxi:
        return scene.call("TransferToNavegante")
    if Intent.THANKS in wants:
        return scene.say("thanks")
    if wants & {Intent.GOODBYE, Intent.TURN_DOWN} or is_no(scene.heard):
        return scene.say("goodbye")
    if Intent.GREETING in wants:
        return scene.say("greet", asked="taxi")
    return _unclear(scene, phrase("offer", scene.language), "taxi")


def _navegante(scene: Scene) -> Answer:
    checked = scene.outcome("ValidateAddress")
    if isinstance(checked, dict):
        return _after_validation(scene, checked)
    known = scene.draft.pickup
    if answer := _leave(scene):
        return answer
    if scene.accepts_offer:
        if scene.asked == "neighborhood" and known is not None:
            return scene.call("ValidateAddress", address=known.address, neighborhood=scene.offered)
        return scene.call("ValidateAddress", address=scene.offered)
    pending, asked = _address_question(scene)
    if answer := _aside(scene, pending=(pending, asked)):
        return answer
    if known is not None and asked == "neighborhood" and scene.names_landmark:
        return _answer_about_address(scene, known)
    town = scene.gazetteer.elsewhere(scene.pickup_words) or scene.gazetteer.city(scene.pickup_words)
    if scene.gives_address or scene.gazetteer.elsewhere(scene.pickup_words):
        return scene.call("ValidateAddress", address=scene.pickup_phrase, city=town)
    is_answer = scene.asked in ("neighborhood", "city") and known is not None and not scene.done
    if known is not None and is_answer and not _is_beside_the_point(scene):
        return _answer_about_address(scene, known)
    if scene.reading.neighborhood:
        return scene.call("ValidateAddress", neighborhood=scene.reading.neighborhood, city=town)
    if scene.reading.choices or scene.adds_detail:
        return scene.call("ValidateAddress", address=scene.pickup_phrase)
    if scene.draft.pickup_ready and not scene.came_by("BacktrackToNavegante"):
        return scene.call("TransferToOperador")
    if scene.asked == asked and not scene.done and not scene.gives_details:
        return _unclear(scene, phrase("address_again", scene.language), asked)
    again = scene.asked == asked and not scene.done
    return scene.speak(pending, asked=asked, misses=scene.misses + 1 if again else 0)


def _operador(scene: Scene) -> Answer:
    draft = scene.draft
    if answer := _leave(scene):
        return answer
    if not draft.pickup_ready or scene.gives_new_address or scene.corrects_neighborhood or scene.adds_detail:
        return scene.call("BacktrackToNavegante")
    sent_back = scene.came_by("BacktrackToOperador")
    arrived = scene.came_by("TransferToOperador")
    pending, asked = _operador_question(scene, arrived=arrived)
    if arrived and Intent.PRICE in scene.wants and scene.came_by("ValidateAddress"):
        return _after_service_tools(scene, (pending, asked)) or scene.call("EstimateFare")
    if not arrived and (answer := _aside(scene, pending=(pending, asked))):
        return answer
    if is_open(draft.when):
        again = scene.asked == "when" and not scene.done and not scene.gives_details
        return _unclear(scene, pending, asked) if again else scene.speak(pending, asked=asked)
    if sent_back and not scene.gives_details:
        return scene.speak(phrase("payment", scene.language, pickup=""), asked="payment")
    if scene.slots.refused_payment and scene.slots.payment_method is None and not arrived:
        return _refuse_payment(scene)
    if draft.payment_method is None:
        return (
            scene.speak(pending, asked=asked)
            if arrived or scene.asked != "payment" or scene.gives_details
            else _unclear(scene, pending, "payment")
        )
    answered = scene.asked == "specials" and not arrived and not scene.done
    if answered and scene.says_nothing and not scene.gives_details:
        return _unclear(scene, pending, "specials")
    if answered and not scene.misses and is_yes(scene.heard) and fold(scene.heard).startswith(("si", "yes", "claro")):
        return scene.say("specials_which", asked="specials", misses=1)
    if not draft.specials_settled and not answered:
        return scene.speak(pending, asked="specials")
    if answered and scene.slots.payment_method and not scene.slots.notes and not is_no(scene.heard):
        return scene.speak(pending, asked="specials")
    return scene.call(
        "TransferToConfirmador",
        payment_method=draft.payment_method,
        observation=_observation(scene, answered=answered),
        vehicle_features=draft.vehicle_features or None,
        passenger_name=draft.passenger_name,
    )


def _confirmador(scene: Scene) -> Answer:
    dispatched = scene.outcome("DispatchToBackend")
    if isinstance(dispatched, dict):
        return _after_dispatch(scene, dispatched)
    if answer := _leave(scene):
        return answer
    if scene.missing:
        return scene.call("BacktrackToNavegante" if "pickup" in scene.missing else "BacktrackToOperador")
    summary = scene.summary
    if scene.done and not scene.came_by("EstimateFare"):
        return scene.say("summary", asked="confirm", summary=summary)
    if scene.gives_new_address or scene.corrects_neighborhood or scene.adds_detail:
        return scene.call("BacktrackToNavegante")
    if scene.gives_details:
        return scene.call("BacktrackToOperador")
    if answer := _aside(scene, pending=(phrase("summary", scene.language, summary=summary), "confirm")):
        return answer
    if not scene.facts.get("summary_read"):
        return scene.say("summary", asked="confirm", summary=summary)
    if is_yes(scene.heard):
        return scene.call("DispatchToBackend")
    if target := _what_to_change(scene):
        return scene.call(target)
    if is_no(scene.heard) or corrects(scene.heard) or Intent.NO in scene.wants:
        return scene.say("change", asked="change")
    return scene.say("confirm_again", asked="confirm", summary=summary, misses=scene.misses + 1)


# What several agents do alike.


def _leave(scene: Scene) -> Answer | None:
    """Hand back to RECEPCIONISTA what only RECEPCIONISTA does."""
    if scene.done:
        return None
    turns_down = Intent.TURN_DOWN in scene.wants and scene.slots.payment_method is None
    if (Intent.CANCEL in scene.wants or turns_down) and not scene.gives_address:
        return scene.call("TransferToRecepcionista", discard_request=True)
    if Intent.STATUS in scene.wants and scene.booking:
        return scene.call("TransferToRecepcionista")
    return None


def _aside(scene: Scene, *, pending: tuple[str, str] | None) -> Answer | None:
    """Answer what is not about the booking, and come back to what was being asked."""
    wants = scene.wants
    if answer := _after_service_tools(scene, pending):
        return answer
    if wants & {Intent.HUMAN, Intent.COMPLAINT, Intent.EMERGENCY}:
        return scene.call("TransferToHuman", reason=scene.heard[:200])
    if Intent.PRICE in wants and not scene.gives_address:
        return scene.call("EstimateFare")
    if Intent.REPEAT in wants and (pending or scene.said_before):
        return (
            scene.speak(pending[0], asked=pending[1]) if pending else scene.speak(scene.said_before, asked=scene.asked)
        )
    asides: tuple[tuple[Intent, str], ...] = (
        (Intent.INJECTION, "stay"),
        (Intent.INSULT, "calm"),
        (Intent.WAIT, "wait"),
        (Intent.PAYMENT_QUESTION, "payments"),
        (Intent.COVERAGE, "coverage"),
        (Intent.HELP, "help"),
        (Intent.OUT_OF_SCOPE, "scope"),
    )
    for intent, name in asides:
        if intent is Intent.WAIT and (scene.gives_address or scene.gives_details or Intent.ANOTHER in wants):
            continue  # «no, espera, es la 86»: who waits says nothing else
        if intent is Intent.INSULT and (scene.gives_address or Intent.TAXI_REQUEST in wants):
            continue  # rude, but it says what is wanted
        if intent in wants:
            text = phrase(name, scene.language, covered=", ".join(scene.facts.get("coverage", ())))
            if intent is Intent.WAIT:
                return scene.speak(text, asked=scene.asked)
            return _then_ask(scene, text, pending)
    return None


def _then_ask(scene: Scene, text: str, pending: tuple[str, str] | None) -> Answer:
    question, asked = pending or (phrase("offer", scene.language), "taxi")
    return scene.speak(f"{text} {question}", asked=asked)


def _after_service_tools(scene: Scene, pending: tuple[str, str] | None = None) -> Answer | None:
    """Say what came of a tool that any agent, or RECEPCIONISTA, may use on the side."""
    if isinstance(fare := scene.outcome("EstimateFare"), dict):
        return _then_ask(scene, _fare_in_words(scene, fare), pending)
    if isinstance(person := scene.outcome("TransferToHuman"), dict):
        urgent = phrase("emergency", scene.language) + " " if Intent.EMERGENCY in scene.wants else ""
        if person.get("phone"):
            return scene.speak(urgent + phrase("human", scene.language, phone=str(person["phone"])), asked=scene.asked)
        return _then_ask(scene, urgent + phrase("no_human", scene.language), pending)
    if isinstance(status := scene.outcome("BookingStatus"), dict):
        if status["status"] == "failed":
            return _then_ask(scene, phrase("no_booking", scene.language), pending)
        state = state_name(status["status"], scene.language)
        coming = who_comes(status, scene.language)
        return scene.say("status", number=_short(status["booking_id"]), state=f"{state}{coming and ': '}{coming}")
    if isinstance(cancelled := scene.outcome("CancelBooking"), dict):
        match cancelled.get("status"), cancelled.get("code"):
            case "discarded", _:
                return scene.say("discarded")
            case "cancelled", _:
                return scene.say("cancelled", number=_short(cancelled["booking_id"]))
            case _, "no_booking":
                return _then_ask(scene, phrase("no_booking", scene.language), pending)
        return scene.say("too_late")
    return None


def _fare_in_words(scene: Scene, fare: dict[str, Any]) -> str:
    return str(fare.get("explanation_en" if scene.language == "en" else "explanation", ""))


def _unclear(scene: Scene, question: str, asked: str) -> Answer:
    """Not understood: say so and ask again; after some tries offer a person."""
    if scene.misses >= _MANY_MISSES:
        return scene.call("TransferToHuman", reason="No entiendo al pasajero")
    return scene.speak(f"{phrase('unclear', scene.language)} {question}", asked=asked, misses=scene.misses + 1)


# NAVEGANTE.


def _address_question(scene: Scene) -> tuple[str, str]:
    known = scene.draft.pickup
    if scene.asked == "city" and known is not None and not scene.draft.pickup_ready and scene.said_before:
        return scene.said_before, "city"
    if known is None or not known.address or scene.draft.pickup_ready:
        name = "address_again" if scene.came_by("BacktrackToNavegante") else "address"
        return phrase(name, scene.language), "address"
    return phrase("neighborhood", scene.language, address=known.address), "neighborhood"


def _is_beside_the_point(scene: Scene) -> bool:
    """Whether the rider's words are no answer to «which neighbourhood?»."""
    if scene.reading.neighborhood or scene.reading.choices:
        return False
    # Who says no neighbourhood but something else is asked again; said twice, it may be a name all the same.
    return (scene.gives_details and not scene.misses) or is_no(scene.heard) or is_yes(scene.heard)


def _after_validation(scene: Scene, checked: dict[str, Any]) -> Answer:
    if checked.get("status") == "valid":
        return scene.call("TransferToOperador")
    missing = checked.get("missing") or ["address"]
    asked = str(missing[0]) if missing[0] in ("neighborhood", "city") else "address"
    if Intent.PRICE in scene.wants and scene.draft.destination is not None and not scene.came_by("EstimateFare"):
        return scene.call("EstimateFare")
    fare = scene.outcome("EstimateFare")
    told = f"{_fare_in_words(scene, fare)} " if isinstance(fare, dict) else ""
    if asked == "neighborhood" and checked.get("address") and not scene.draft.doubtful_neighborhood:
        question = phrase("neighborhood", scene.language, address=str(checked["address"]))
    else:
        question = str(checked.get("ask") or phrase("address", scene.language))
    options = list(checked.get("choices") or [])
    offered = str(options[0]) if asked in ("address", "neighborhood") and len(options) == 1 else None
    return scene.speak(told + question, asked=asked, offered=offered)


def _answer_about_address(scene: Scene, known: Place) -> Answer:
    """Take the rider's words as the neighbourhood or town that was asked for."""
    words = " ".join(scene.heard.split())
    if scene.asked == "city":
        return scene.call("ValidateAddress", address=known.address, neighborhood=known.neighborhood, city=words)
    does_not_know = fold(words).startswith(
        ("no se", "no lo se", "no tengo idea", "ni idea", "no recuerdo", "no me acuerdo")
    )
    if does_not_know:
        return scene.call("ValidateAddress", address=known.address, neighborhood_unknown=True)
    return scene.call("ValidateAddress", address=known.address, neighborhood=_named_neighborhood(words))


def _named_neighborhood(words: str) -> str:
    """Return the name in «es en el barrio El Prado, por favor»."""
    folded = fold(words)
    start = 0
    for lead in (
        "es ",
        "queda ",
        "esta ",
        "se llama ",
        "en ",
        "el barrio ",
        "barrio ",
        "la urbanizacion ",
        "urbanizacion ",
    ):
        if folded.startswith(lead, start):
            start += len(lead)
    end = folded.find(" por favor", start)
    return words[start : end if end >= 0 else None].strip(" ,.;")


# OPERADOR.


def _operador_question(scene: Scene, *, arrived: bool) -> tuple[str, str]:
    draft = scene.draft
    here = draft.pickup if arrived and draft.pickup is not None else None
    pickup = phrase("pickup", scene.language, place=describe_place(here)) if here else ""
    if draft.when is not None and is_open(draft.when):
        first, second = choices(draft.when, scene.language)
        return phrase("half_of_day", scene.language, pickup=pickup, first=first, second=second), "when"
    if draft.payment_method is None:
        return phrase("payment", scene.language, pickup=pickup), "payment"
    method = payment_name(draft.payment_method, scene.language)
    return phrase("specials", scene.language, method=method), "specials"


def _refuse_payment(scene: Scene) -> Answer:
    method = scene.slots.refused_payment or ""
    name = "transfer" if fold(method).startswith("transferencia") else "refused"
    return scene.say(name, asked="payment", method=method)


def _observation(scene: Scene, *, answered: bool) -> str:
    """Return the driver's note: what is known, and what was just said in the rider's own words."""
    known = scene.draft.model_copy(update={"written_note": None}).observation
    heard = " ".join(scene.heard.split())
    is_own_words = answered and not (scene.gives_details or is_no(heard) or is_yes(heard) or is_chatter(heard))
    if is_own_words:
        wish = f"El pasajero dice: «{heard[:200]}»"
        return f"{known}. {wish}" if known else wish
    return known or "Sin observaciones"


# CONFIRMADOR.


def _after_dispatch(scene: Scene, dispatched: dict[str, Any]) -> Answer:
    if booking_id := dispatched.get("booking_id"):
        eta = dispatched.get("eta_minutes")
        name = "arranging" if dispatched.get("pending") else "dispatched" if eta is None else "dispatched_eta"
        return scene.say(name, number=_short(str(booking_id)), place=_booked_place(scene), eta=str(eta))
    match dispatched.get("code"):
        case "not_confirmed":
            return scene.say("summary", asked="confirm", summary=scene.summary)
        case "incomplete" | "outside_coverage":
            return scene.call("BacktrackToNavegante")
        case "dispatch_refused":
            return scene.say("dispatch_refused", asked="confirm")
    return scene.say("dispatch_failed", asked="confirm")


def _what_to_change(scene: Scene) -> str | None:
    heard = fold(scene.heard)
    if scene.reading.neighborhood or any(word in heard for word in ("direcci", "barrio", "recog", "address")):
        return "BacktrackToNavegante"
    if any(word in heard for word in ("pago", "pagar", "nota", "observaci", "conductor", "payment", "note")):
        return "BacktrackToOperador"
    return None


def _booked_place(scene: Scene) -> str:
    return str((scene.booking or {}).get("place", ""))


def _number(scene: Scene) -> str:
    return _short(str((scene.booking or {}).get("booking_id", "")))


def _short(booking_id: str) -> str:
    return booking_id[:_NUMBER_LENGTH].upper()

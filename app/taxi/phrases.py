"""What the offline model says, in Spanish and English. Imports nothing of ours."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["es", "en"]

_PHRASES: dict[str, tuple[str, str]] = {
    "hello": ("¡Hola!", "Hi!"),
    "greet": (
        "¡Hola! Bienvenido a tu central de taxis en Barranquilla. ¿Necesitas un taxi?",
        "Hi! Welcome to your taxi service in Barranquilla. Do you need a taxi?",
    ),
    "offer": ("¿Necesitas un taxi?", "Do you need a taxi?"),
    "scope": (
        "Con eso no te puedo ayudar: yo solo pido taxis en Barranquilla y sus alrededores.",
        "I can't help with that: I only book taxis in and around Barranquilla.",
    ),
    "stay": (
        "Eso no lo puedo hacer. Sigamos con tu taxi.",
        "I can't do that. Let's get on with your taxi.",
    ),
    "calm": (
        "Lamento la molestia. Quiero ayudarte con tu taxi.",
        "I'm sorry about that. I want to help you with your taxi.",
    ),
    "wait": ("Claro, aquí te espero.", "Sure, I'll wait."),
    "thanks": ("¡Con mucho gusto! Que tengas buen viaje.", "You're welcome! Have a good trip."),
    "goodbye": ("¡Hasta luego! Que estés muy bien.", "Goodbye! Take care."),
    "help": (
        "Soy el asistente de la central: te pido un taxi si me dices dónde te recogemos y cómo pagas.",
        "I'm the taxi assistant: tell me where to pick you up and how you pay, and I book a taxi.",
    ),
    "payments": ("Recibimos efectivo, Nequi, Daviplata y tarjeta.", "We take cash, Nequi, Daviplata and cards."),
    "coverage": ("Recogemos en {covered}.", "We pick up in {covered}."),
    "address": ("¡Claro! ¿En qué dirección te recogemos?", "Sure! At which address do we pick you up?"),
    "address_again": (
        "¿Cuál es la dirección de recogida? Por ejemplo: Calle 72 #43-25, barrio El Prado.",
        "What is the pick-up address? For example: Calle 72 #43-25, El Prado.",
    ),
    "neighborhood": (
        "Listo, {address}. ¿En qué barrio queda?",
        "Got it, {address}. Which neighbourhood is that in?",
    ),
    "neighborhood_plain": ("¿En qué barrio queda?", "Which neighbourhood is that in?"),
    "payment": (
        "{pickup}¿Cómo vas a pagar: efectivo, Nequi, Daviplata o tarjeta?",
        "{pickup}How will you pay: cash, Nequi, Daviplata or card?",
    ),
    "pickup": ("Te recogemos en {place}. ", "We pick you up at {place}. "),
    "half_of_day": (
        "{pickup}¿A qué hora te recogemos: {first} o {second}?",
        "{pickup}At what time do we pick you up: {first} or {second}?",
    ),
    "refused": (
        "No recibimos {method}. Puedes pagar en efectivo o con Nequi, Daviplata o tarjeta. ¿Cuál prefieres?",
        "We don't take {method}. You can pay in cash or with Nequi, Daviplata or card. Which one?",
    ),
    "transfer": (
        "Por transferencia recibimos Nequi o Daviplata. ¿Cuál prefieres?",
        "For transfers we take Nequi or Daviplata. Which one?",
    ),
    "specials": (
        "Perfecto, {method}. ¿Necesitas algo especial para el viaje, como baúl grande o viajar con mascota?",
        "Perfect, {method}. Do you need anything special, such as a large boot or travelling with a pet?",
    ),
    "specials_which": (
        "Cuéntame, ¿qué necesitas en especial?",
        "Tell me, what special thing do you need?",
    ),
    "summary": ("{summary} ¿Confirmas el taxi?", "{summary} Do you confirm the taxi?"),
    "confirm_again": (
        "Para enviarlo necesito que me confirmes. {summary} ¿Sí o no?",
        "I need your yes to send it. {summary} Yes or no?",
    ),
    "change": (
        "¿Qué quieres cambiar: la dirección, el pago o la nota para el conductor?",
        "What would you like to change: the address, the payment or the note for the driver?",
    ),
    "dispatched": (
        "¡Listo! Tu taxi va en camino a {place}. Tu número de servicio es {number}. ¡Buen viaje!",
        "Done! Your taxi is on its way to {place}. Your service number is {number}. Have a good trip!",
    ),
    "dispatched_eta": (
        "¡Listo! Tu taxi va en camino a {place} y llega en unos {eta} minutos. "
        "Tu número de servicio es {number}. ¡Buen viaje!",
        "Done! Your taxi is on its way to {place} and takes about {eta} minutes. "
        "Your service number is {number}. Have a good trip!",
    ),
    "arranging": (
        "Listo, ya estoy consiguiendo tu taxi para {place}. Tu número de servicio es {number}; "
        "te aviso apenas lo tenga.",
        "All right, I am arranging your taxi to {place}. Your service number is {number}; "
        "I'll let you know as soon as I have it.",
    ),
    "dispatch_refused": (
        "La central no pudo tomar el servicio. ¿Quieres que lo intente otra vez?",
        "The fleet could not take your ride. Shall I try again?",
    ),
    "dispatch_failed": (
        "No pude pedir el taxi en este momento. ¿Quieres que lo intente otra vez?",
        "I could not book the taxi just now. Shall I try again?",
    ),
    "already": (
        "Tu taxi ya está pedido: servicio {number}, en {place}.",
        "Your taxi is already booked: service {number}, at {place}.",
    ),
    "tell_driver": (
        "Tu taxi ya está pedido; eso se lo puedes contar al conductor cuando llegue.",
        "Your taxi is already booked; please tell the driver when they arrive.",
    ),
    "status": ("Tu servicio {number} está {state}.", "Your service {number} is {state}."),
    "no_booking": ("Todavía no tienes un taxi pedido.", "You have no taxi booked yet."),
    "cancelled": ("Listo, tu servicio {number} quedó cancelado.", "Done, your service {number} is cancelled."),
    "discarded": (
        "Listo, no pido el taxi. Si lo necesitas más tarde, aquí estoy.",
        "All right, I won't book it. I'm here if you need it later.",
    ),
    "too_late": ("Ese servicio ya terminó y no se puede cancelar.", "That ride is over and cannot be cancelled."),
    "human": ("Claro. Puedes hablar con una persona en el {phone}.", "Sure. You can talk to a person at {phone}."),
    "no_human": (
        "En este momento no tengo una persona a quien pasarte, pero yo puedo pedirte el taxi.",
        "I have no person to put you through to right now, but I can book the taxi.",
    ),
    "emergency": (
        "Si es una emergencia, llama ya a la línea 123.",
        "If this is an emergency, call 123 now.",
    ),
    "unclear": ("Disculpa, no te entendí bien.", "Sorry, I didn't quite get that."),
}

_STATES: dict[str, tuple[str, str]] = {
    "accepted": ("aceptado y en camino", "accepted and on its way"),
    "assigned": ("asignado a un conductor", "assigned to a driver"),
    "arrived": ("en el punto de recogida", "at the pick-up point"),
    "completed": ("terminado", "completed"),
    "cancelled": ("cancelado", "cancelled"),
}

_COMING: dict[str, tuple[str, str]] = {
    "driver": ("{driver}", "{driver}"),
    "plate": ("placa {plate}", "plate {plate}"),
    "eta_minutes": ("a unos {eta_minutes} minutos", "about {eta_minutes} minutes away"),
}

_PAYMENTS: dict[str, tuple[str, str]] = {
    "efectivo": ("efectivo", "cash"),
    "nequi": ("Nequi", "Nequi"),
    "daviplata": ("Daviplata", "Daviplata"),
    "tarjeta": ("tarjeta", "card"),
}


def phrase(name: str, language: Language, **parts: str) -> str:
    """Return a phrase with its parts filled in."""
    return _PHRASES[name][language == "en"].format(**parts)


def state_name(status: str, language: Language) -> str:
    """Return a booking's status as it is said."""
    return _STATES.get(status, (status, status))[language == "en"]


def who_comes(ride: Mapping[str, object], language: Language) -> str:
    """Return who is on the way, with which taxi and how far: what of it is known, of a ride that has not begun."""
    if ride.get("status") not in ("accepted", "assigned"):
        return ""
    said = (pair[language == "en"].format(**ride) for name, pair in _COMING.items() if ride.get(name) is not None)
    return ", ".join(said)


def payment_name(method: str, language: Language) -> str:
    """Return a payment method as it is said."""
    return _PAYMENTS.get(method, (method, method))[language == "en"]


def often_said() -> tuple[str, ...]:
    """Return Spanish phrases that are said again and again just as they are: worth having as sound beforehand."""
    names = ("greet", "offer", "address", "neighborhood_plain", "wait", "thanks")
    return tuple(_PHRASES[name][0] for name in names)

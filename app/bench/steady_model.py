"""A chat model that answers at a steady pace: so that two servers can be compared on it.

``python -m app.bench.steady_model PORT`` speaks OpenAI's protocol. Hardly any answer is like another from its first
words on, for a server may keep the sound of what it said before; all are of about the same length. After «cuéntame»
comes a long one, always the same, to be interrupted in.
"""

import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any
from zlib import crc32

import anyio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

FIRST_TOKEN_SECONDS = 0.15
TOKEN_SECONDS = 0.015
_OPENINGS = ("Claro que sí", "Con mucho gusto", "Muy bien", "Perfecto", "De acuerdo", "Por supuesto", "Entendido")
_NAMES = (
    *("Carmen", "Alberto", "Yolanda", "Rafael", "Milena", "Jairo", "Shirley", "Fabián", "Rosario", "Ernesto", "Karina"),
    *("Orlando", "Beatriz", "Wilson", "Judith", "Ramiro", "Nubia", "Álvaro", "Ligia", "Hernán", "Dayana", "Efraín"),
)
_QUESTIONS = (
    "¿En qué dirección lo recogemos?",
    "¿En qué barrio queda la dirección?",
    "¿Cómo desea pagar el servicio?",
    "¿Necesita algo más para el viaje?",
    "¿Me repite la dirección, por favor?",
)
LONG_ANSWER = (
    "Con mucho gusto le cuento cómo funciona el servicio. "
    "Primero tomamos la dirección donde lo vamos a recoger, con su barrio y una señal que ayude al conductor. "
    "Después anotamos la forma de pago, que puede ser en efectivo o por transferencia, como usted prefiera. "
    "Luego buscamos el carro que esté más cerca de su casa, y le decimos quién lo maneja y cuál es la placa. "
    "El conductor lo espera cinco minutos en la puerta, y lo llama si no lo ve. "
    "Si el viaje es de noche o en un día festivo hay un pequeño recargo, que le decimos antes de confirmar. "
    "Al final le leemos todo el pedido, para que nos diga si está bien y podamos enviar el taxi."
)
_LONG_WISH = re.compile(r"\bcu[eé]nt[eae]")
"""Who says a word that begins so is given the long answer."""

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that it is there."""
    return {"status": "healthy"}


@app.post("/v1/chat/completions")
async def complete(request: Request) -> StreamingResponse:
    """Answer the last message, token by token."""
    body: dict[str, Any] = await request.json()
    said = [_text(each) for each in body["messages"] if each["role"] == "user"]
    answer = answer_to(said)
    return StreamingResponse(_tokens(answer, body.get("model", "steady")), media_type="text/event-stream")


def answer_to(said: list[str]) -> str:
    """Return the answer to the last of a rider's messages."""
    last = said[-1].casefold() if said else ""
    if _LONG_WISH.search(last):
        return LONG_ANSWER
    # By what was said so far and how: the same for the same conversation, in whatever order servers ask.
    number = crc32("|".join(said).encode())
    opening = _OPENINGS[number % len(_OPENINGS)]
    name = _NAMES[number // len(_OPENINGS) % len(_NAMES)]
    return f"{opening}, con {name}, ya lo anoté. {_QUESTIONS[(len(said) - 1) % len(_QUESTIONS)]}"


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content or "")


async def _tokens(answer: str, model: str) -> AsyncIterator[str]:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        frame = {"id": "steady", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": choices}
        return f"data: {json.dumps({**frame, **more}, ensure_ascii=False)}\n\n"

    await anyio.sleep(FIRST_TOKEN_SECONDS)
    yield chunk({"role": "assistant", "content": ""})
    for number, word in enumerate(answer.split(" ")):
        yield chunk({"content": word if number == 0 else f" {word}"})
        await anyio.sleep(TOKEN_SECONDS)
    yield chunk({}, "stop")
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    yield chunk({}, None, choices=[], usage=usage)
    yield "data: [DONE]\n\n"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")

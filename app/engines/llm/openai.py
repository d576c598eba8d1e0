"""Settings to a ``ChatOpenAI``: OpenAI itself or any server that speaks its protocol."""

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr


def create_openai_model(
    *,
    model: str,
    api_key: SecretStr | None,
    base_url: str | None,
    temperature: float | None,
    timeout_seconds: float,
    count_tokens: bool = True,
    max_retries: int = 2,
) -> BaseChatModel:
    """Return a streaming chat model.

    Args:
        model: Model name that is sent to the server.
        api_key: Key; a server without keys is sent a placeholder, because the client wants one.
        base_url: Address of the server, ending in ``/v1`` as a rule; None is OpenAI's own.
        temperature: Sampling temperature; None leaves it to the server.
        timeout_seconds: Longest silence before and between tokens.
        count_tokens: Ask the server how many tokens an answer took (``stream_options``), which some refuse.
        max_retries: How often the client tries again by itself; 0 where whoever asks does.
    """
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=model,
        api_key=api_key or SecretStr("none"),
        base_url=base_url,
        temperature=temperature,
        timeout=timeout_seconds,
        # Its waiting is asyncio.wait_for, which on Python 3.11 loses a cancellation that comes with a token.
        stream_chunk_timeout=None,
        max_retries=max_retries,
        streaming=True,
        stream_usage=count_tokens,
    )

"""Settings to what thinks: the chat model of the agents, and what makes explanations."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from app.core.config import Settings
from app.engines.explainer.base import Explainer
from app.engines.explainer.model import ModelExplainer
from app.engines.llm.function_model import FunctionChatModel, Reply
from app.taxi.explainer import ServiceExplainer
from app.taxi.fares import load_tariff
from app.taxi.places import Gazetteer
from app.taxi.policy import OfflinePolicy


@asynccontextmanager
async def open_model(settings: Settings, gazetteer: Gazetteer) -> AsyncIterator[BaseChatModel]:
    """Open the chat model that the settings name."""
    if settings.model_kind == "openai":
        async with _open_openai(settings) as model:
            yield model
        return
    yield offline_model(settings, gazetteer)


def offline_model(settings: Settings, gazetteer: Gazetteer) -> BaseChatModel:
    """Return the clerk that needs no model server."""
    policy = OfflinePolicy(gazetteer)

    def reply(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Reply:
        text, calls, notes = policy(messages, tools)
        return Reply(text, tuple(calls), notes)

    return FunctionChatModel(function=reply, word_delay_ms=settings.offline_word_delay_ms)


@asynccontextmanager
async def open_explainer(settings: Settings, gazetteer: Gazetteer) -> AsyncIterator[Explainer]:
    """Open what makes explanations: the chat model that the settings name, or the one that needs none."""
    if settings.model_kind == "openai":
        async with _open_openai(settings, max_retries=0) as model:
            yield ModelExplainer(model, settings.llm_model, timeout_seconds=settings.explanation_timeout_seconds / 2)
        return
    yield ServiceExplainer(
        tariff=load_tariff(),
        gazetteer=gazetteer,
        coverage=settings.coverage,
        support_phone=settings.support_phone,
    )


def _open_openai(settings: Settings, **options: Any) -> AbstractAsyncContextManager[BaseChatModel]:
    from app.engines.llm.openai import open_openai_model  # takes a second to import, which the offline clerk saves

    return open_openai_model(
        model=settings.llm_model,
        api_key=settings.openai_api_key,
        base_url=settings.openai_base_url,
        temperature=settings.llm_temperature,
        timeout_seconds=settings.llm_timeout_seconds,
        count_tokens=settings.llm_count_tokens,
        **options,
    )

"""What was typed is what was heard."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.stt.base import Transcript
from app.engines.stt.text import TextStt

pytestmark = pytest.mark.unit


async def hear(text: str) -> list[Transcript]:
    return [transcript async for transcript in TextStt().transcribe(text)]


async def test_words_come_in_growing_groups_and_then_all_of_them() -> None:
    heard = await hear("Necesito un taxi a la Calle 72")

    assert [transcript.text for transcript in heard] == [
        "Necesito un",
        "Necesito un taxi a",
        "Necesito un taxi a la Calle",
        "Necesito un taxi a la Calle 72",
        "Necesito un taxi a la Calle 72",
    ]
    assert [transcript.final for transcript in heard] == [False, False, False, False, True]


@given(st.text(max_size=4000))
def test_partials_grow_are_few_and_never_empty(text: str) -> None:
    heard = anyio.run(hear, text)

    assert heard[-1] == Transcript(text, final=True)
    partials = [transcript.text for transcript in heard[:-1]]
    assert len(partials) <= 9
    assert all(partials)
    assert all(text.startswith(partial) for partial in partials)
    assert partials == sorted(partials, key=len)

"""Server-Sent Events of a model server, however the bytes are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.llm.event_stream import MOST_BYTES, EventStreamDecoder

pytestmark = pytest.mark.unit

LINE_ENDS = (b"\n", b"\r\n", b"\r")


def read(*pieces: bytes) -> list[bytes]:
    decoder = EventStreamDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def test_an_event_is_given_once_it_is_whole() -> None:
    decoder = EventStreamDecoder()

    assert decoder.feed(b'data: {"a"') == []
    assert decoder.feed(b": 1}\n") == []
    assert decoder.feed(b"\ndata: 2\n\nda") == [b'{"a": 1}', b"2"]
    assert decoder.feed(b"ta: 3\n\n") == [b"3"]


def test_data_lines_of_an_event_are_joined() -> None:
    assert read(b"data: {\ndata:  1\ndata:}\n\n") == [b"{\n 1\n}"]


def test_comments_other_fields_and_events_without_data_are_passed_over() -> None:
    assert read(b": OPENROUTER PROCESSING\n\nevent: x\nid: 7\nretry: 5\n\nevent: message\ndata: 1\n\n") == [b"1"]


def test_the_last_event_wants_its_empty_line() -> None:
    assert read(b"data: 1\n\ndata: 2\n") == [b"1"]


def test_an_event_without_end_is_refused() -> None:
    decoder = EventStreamDecoder()

    with pytest.raises(ValueError, match="without end"):
        for _ in range(MOST_BYTES // 1000 + 2):
            decoder.feed(b"x" * 1000)


def test_data_lines_without_end_are_refused() -> None:
    decoder = EventStreamDecoder()

    with pytest.raises(ValueError, match="without end"):
        for _ in range(MOST_BYTES // 1000 + 2):
            decoder.feed(b"data: " + b"x" * 1000 + b"\n")


@given(
    events=st.lists(st.lists(st.binary(max_size=12).filter(lambda data: not {10, 13} & set(data)), min_size=1)),
    end=st.sampled_from(LINE_ENDS),
    cuts=st.lists(st.integers(min_value=0, max_value=400)),
)
def test_it_does_not_matter_how_the_bytes_are_cut(events: list[list[bytes]], end: bytes, cuts: list[int]) -> None:
    wire = b"".join(b"".join(b"data: " + line + end for line in lines) + end for lines in events) + b": bye\n"
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:stop] for start, stop in itertools.pairwise(places)]

    assert read(*pieces) == [b"\n".join(lines) for lines in events]

"""What makes two questions the same."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import AppError
from app.services.questions import MAX_CONTEXT_CHARACTERS, normalise, read_question

pytestmark = pytest.mark.unit

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
CONTEXTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


def hash_of(text: str, context: object = None) -> str:
    return read_question(text, context, max_characters=1000).question_hash


def code_of(text: object, context: object = None) -> str:
    with pytest.raises(AppError) as refused:
        read_question(text, context, max_characters=20)
    return refused.value.error_code


@pytest.mark.parametrize(
    "text",
    [
        "¿Cuánto cuesta?", "cuanto cuesta", "CUÁNTO  CUESTA", " ¿cuanto\ncuesta? ", "«Cuánto cuesta»…",
        "cuanto cuesta!!", "Cua\u0301nto cuesta", "ｃｕａｎｔｏ cuesta?", "¿¿cuanto cuesta??", "cuanto\u00a0cuesta.",
        "cuanto\u200b cuesta", "¡¿Cuánto cuesta?!",
    ],
)  # fmt: skip
def test_one_question_is_written_in_many_ways(text: str) -> None:
    assert normalise(text) == "cuanto cuesta"
    assert hash_of(text) == hash_of("cuanto cuesta")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("año", "ano"), ("x²", "x2"), ("¿cuánto es 10²?", "¿cuánto es 102?"), ("¿cuánto es 5!?", "¿cuánto es 5?"),
        ("n!", "n"), ("c++", "c"), ("3,5", "35"), ("calle 43-25", "calle 4325"), ("¿es > 2?", "¿es < 2?"),
        ("H₂O", "H²O"), ("3½", "31/2"), ("й", "и"),
    ],
)  # fmt: skip
def test_two_questions_stay_two(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)
    assert hash_of(one) != hash_of(other)


@given(st.text(max_size=60))
def test_what_is_normalised_stays_as_it_is(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(max_size=60))
def test_composed_or_not_it_is_the_same_question(text: str) -> None:
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(unicodedata.normalize("NFC", text))


def test_what_was_asked_is_kept_as_it_was_asked() -> None:
    question = read_question("  ¿Cuánto\x00 cuesta? ", {"language": "es"}, max_characters=100)

    assert question.text == "¿Cuánto  cuesta?"
    assert question.context == {"language": "es"}


def test_another_context_is_another_question_and_the_order_of_its_fields_says_nothing() -> None:
    assert hash_of("a", {"b": 1, "c": [1, 2]}) == hash_of("a", {"c": [1, 2], "b": 1.0})
    assert hash_of("a", None) == hash_of("a", {})
    assert hash_of("a", {"s": "física"}) == hash_of("a", {"s": unicodedata.normalize("NFD", "física")})
    assert (
        len({hash_of("a", context) for context in ({}, {"b": 1}, {"b": "1"}, {"b": True}, {"b": [1]}, {"c": 1})}) == 6
    )


@given(CONTEXTS)
def test_a_context_comes_back_the_same_and_has_one_hash(context: dict[str, Any]) -> None:
    question = read_question("a", context, max_characters=10)

    assert hash_of("a", question.context) == question.question_hash
    assert len(question.question_hash) == 64


def test_neither_half_of_the_name_runs_into_the_other() -> None:
    assert hash_of('a{"b":1}') != hash_of("a", {"b": 1})


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "¿?", "...", "\u200b", "\x00\x01", "¡¡!!"])
def test_a_question_that_says_nothing_is_refused(text: str) -> None:
    assert code_of(text) == "empty_question"


@pytest.mark.parametrize("text", [None, 5, True, ["a"], {"a": 1}, b"a", "\ud83d", "a\udc00b"])
def test_a_question_that_is_no_text_is_refused(text: object) -> None:
    assert code_of(text) == "invalid_question"


def test_a_question_that_is_too_long_is_refused() -> None:
    assert code_of("a" * 21) == "text_too_long"
    assert read_question("👩" * 20, max_characters=20)


def nested(depth: int) -> Any:
    value: Any = "a"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "context",
    ["a", 5, [], True, {"a": b"x"}, {"a": float("nan")}, {"a": float("inf")}, {1: 2}, {"a": "\ud83d"}, {"a": {1, 2}},
     {"a": nested(17)}, {"a": nested(5000)}, {"a": 10**5000}],
)  # fmt: skip
def test_a_context_that_is_no_object_of_json_is_refused(context: object) -> None:
    assert code_of("a", context) == "invalid_context"


def test_a_context_that_is_too_long_is_refused() -> None:
    assert code_of("a", {"a": "x" * MAX_CONTEXT_CHARACTERS}) == "text_too_long"

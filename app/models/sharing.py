"""What models that never change hold together."""

from typing import TypeVar

from pydantic import BaseModel

ModelT = TypeVar("ModelT", bound=BaseModel)

_GIVEN: dict[frozenset[str], set[str]] = {}


def sharing_given(model: ModelT) -> ModelT:
    """Have a frozen model share the set of the fields that it was given with all that were given the same.

    Pydantic keeps such a set with each model: 728 bytes for more than four fields, as much as all else that an event
    holds.
    """
    given = model.model_fields_set
    object.__setattr__(model, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given))
    return model

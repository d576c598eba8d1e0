"""What a scenario file says: a rider's facts and manner, and the bookings that must come of them."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.models.booking import BookingStatus, PaymentMethod

Topic = Literal[
    "address",
    "which_address",
    "check_address",
    "check_neighborhood",
    "corner",
    "neighborhood",
    "city",
    "payment",
    "specials",
    "confirm",
    "change",
    "taxi",
    "person",
    "destination",
    "name",
    "passengers",
    "when",
    "phone",
]
"""What an agent can ask a rider."""

TOPICS: tuple[Topic, ...] = get_args(Topic)


class ScenarioError(Exception):
    """A scenario file cannot be read."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Line(_Strict):
    """Something that the rider says; in a file a plain text is one too."""

    say: str = Field(min_length=1)
    leaves: bool = False
    """After the answer to this the rider hangs up."""


def _as_line(value: Any) -> Any:
    return Line(say=value) if isinstance(value, str) else value


def _as_lines(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else (value,)


SaidLine = Annotated[Line, BeforeValidator(_as_line)]
Lines = Annotated[tuple[SaidLine, ...], BeforeValidator(_as_lines)]


class Interjection(_Strict):
    """Said once, in place of the answer, when something is asked or at a turn."""

    at: Topic | None = None
    turn: int | None = Field(default=None, ge=1)
    say: str = Field(min_length=1)
    leaves: bool = False


class Rider(_Strict):
    """Who calls: what they know, in their own words, and how they talk."""

    style: Literal["typed", "spoken", "english"] = "typed"
    """Chooses the words where the file gives none: written, as a recogniser writes them down, or English."""
    opening: Lines
    """Said first, one after the other, whatever is answered."""
    answers: dict[Topic, Lines] = Field(default_factory=dict)
    """What is said when a thing is asked; asked again, the next line, and the last one from then on."""
    interjections: tuple[Interjection, ...] = Field(default=(), strict=False)
    afterwards: Lines = ()
    """Said when the taxi is on its way, one after the other."""
    patience: int = Field(default=16, ge=1)
    """Turns after which the rider gives up."""


class ExpectedBooking(_Strict):
    """A booking as it must be stored. What is not said here must not be there."""

    address: str
    neighborhood: str | None = None
    city: str = "Barranquilla"
    detail: str | None = None
    payment_method: PaymentMethod
    observation: Annotated[tuple[str, ...], BeforeValidator(_as_lines)] = ()
    """What the driver's note must contain, letter case and accents apart; nothing means that there is no note."""
    observation_equals: str | None = None
    vehicle_features: tuple[str, ...] = Field(default=(), strict=False)
    destination: str | None = None
    passenger_name: str | None = None
    passengers: int | None = None
    pickup_time: str | None = None
    status: BookingStatus = "accepted"


class Scenario(_Strict):
    """One conversation to be had."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    kind: str = Field(pattern=r"^[a-z_]+$")
    about: str = ""
    """What is hard about it."""
    rider: Rider
    next_rider: Rider | None = None
    """The same person wanting one more taxi when the first is booked."""
    expect: tuple[ExpectedBooking, ...] = Field(strict=False)
    """The bookings, oldest first; none if no taxi may be sent."""


def load_scenarios(folder: Path | None = None, kinds: Sequence[str] = ()) -> list[Scenario]:
    """Read the scenarios of a folder, by file and in the order of the file.

    Args:
        folder: Where the ``*.yaml`` files are; None is the project's own.
        kinds: Only these kinds; empty is all.

    Raises:
        ScenarioError: A file or a scenario cannot be read, an id is there twice, or a kind is unknown.
    """
    source = folder or Path(str(files("app.evals"))) / "scenarios"
    found: dict[str, Scenario] = {}
    for file in sorted(source.glob("*.yaml")):
        try:
            read = yaml.safe_load(file.read_text(encoding="utf-8")) or []
            scenarios = [Scenario.model_validate(each) for each in read]
        except (yaml.YAMLError, ValueError, TypeError) as error:
            raise ScenarioError(f"{file.name}: {error}") from error
        for scenario in scenarios:
            if scenario.id in found:
                raise ScenarioError(f"{file.name}: the id {scenario.id} is there twice")
            found[scenario.id] = scenario
    unknown = set(kinds) - {scenario.kind for scenario in found.values()}
    if unknown:
        raise ScenarioError(f"no scenario of kind {', '.join(sorted(unknown))}")
    return [scenario for scenario in found.values() if not kinds or scenario.kind in kinds]

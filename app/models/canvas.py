"""What a page can draw: the vocabulary of canvas commands, for explainers that draw and pages that execute it.

A command is a JSON object with an ``op``. The sheet is 100 wide and 60 high, x to the right and y down; a page scales
it. Colours are names of what a thing is, so that a page gives them its own, in the light and in the dark. Commands
are executed in the order in which they come, on what is already there; each step begins with an empty sheet.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

WIDTH, HEIGHT = 100.0, 60.0
"""Of the sheet, in its own units."""

Color = Literal["ink", "muted", "accent", "good", "warning"]
"""Text and lines; what is less important; what it is about; what is fine; what to look out for."""

X = Annotated[float, Field(ge=0, le=WIDTH, allow_inf_nan=False)]
Y = Annotated[float, Field(ge=0, le=HEIGHT, allow_inf_nan=False)]
Stroke = Annotated[float, Field(gt=0, le=5, allow_inf_nan=False)]


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: int | None = Field(default=None, ge=0)
    """See ``CanvasInstruction``; it does not reach the page."""


class Clear(_Command):
    """Empty the sheet."""

    op: Literal["clear"] = "clear"


class Line(_Command):
    """A straight line."""

    op: Literal["line"] = "line"
    x1: X
    y1: Y
    x2: X
    y2: Y
    color: Color = "ink"
    stroke: Stroke = 0.5
    dashed: bool = False


class Rect(_Command):
    """A rectangle; ``x`` and ``y`` are its upper left corner."""

    op: Literal["rect"] = "rect"
    x: X
    y: Y
    width: X
    height: Y
    color: Color = "ink"
    stroke: Stroke = 0.5
    fill: bool = False


class Circle(_Command):
    """A circle around ``x`` and ``y``."""

    op: Literal["circle"] = "circle"
    x: X
    y: Y
    radius: Annotated[float, Field(gt=0, le=WIDTH, allow_inf_nan=False)]
    color: Color = "ink"
    stroke: Stroke = 0.5
    fill: bool = False


class Path(_Command):
    """Straight lines from point to point."""

    op: Literal["path"] = "path"
    points: Annotated[tuple[tuple[X, Y], ...], Field(min_length=2, max_length=200)]
    color: Color = "ink"
    stroke: Stroke = 0.5
    dashed: bool = False
    closed: bool = False
    fill: bool = False


class Text(_Command):
    """A line of text; ``x`` is its start, middle or end, ``y`` its middle, ``size`` its height."""

    op: Literal["text"] = "text"
    x: X
    y: Y
    text: Annotated[str, Field(min_length=1, max_length=120)]
    color: Color = "ink"
    size: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)] = 3
    align: Literal["start", "middle", "end"] = "start"


Drawing = Annotated[Clear | Line | Rect | Circle | Path | Text, Field(discriminator="op")]
"""Any command."""

DRAWING: TypeAdapter[Drawing] = TypeAdapter(Drawing)

"""What a study file says of how long its finalists are kept at work, and at which load."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from ...profiles.errors import UserError
from ...profiles.text.units import parse_quantity
from ..record.sustained import FULL, SustainedLoad
from .section import Section
from .values import Seconds

LEAST_S, MOST_S = 60.0, 86_400.0
_ACCEPTED = "`full` (back to back), a rate (`20 /s`), or a share of what it can do (`80 %`)"


def _minutes(seconds: float) -> float:
    if not LEAST_S <= seconds <= MOST_S:
        raise ValueError("is told by the minute; accepted: 1 min or more, and up to 1 d")
    return seconds


def _load(said: object) -> object:
    """A load however it was written."""
    if isinstance(said, SustainedLoad):
        return said
    if not isinstance(said, str):
        raise ValueError(f"is {said!r}; accepted: {_ACCEPTED}")
    text = said.strip()
    if text == FULL:
        return SustainedLoad()
    dimension = "share" if text.endswith(("%", "percent")) else "rate"
    try:
        found = parse_quantity(text, dimension)
    except UserError as error:
        raise ValueError(f"{error.problem}; accepted: {_ACCEPTED}") from None
    if dimension == "share":
        if not 0 < found < 1:
            raise ValueError("is no load that lasts; accepted: above 0 % and below 100 %, or `full`")
        return SustainedLoad(share=found)
    if not 1 / 60 <= found <= 1e6:
        raise ValueError("is no rate; accepted: 1 /min or more, and up to a million a second")
    return SustainedLoad(rate=found)


class SustainedSection(Section):
    """Minutes for which each finalist is kept at work at a load, which is `full` where none is said."""

    time: Annotated[Seconds, AfterValidator(_minutes)]
    load: Annotated[SustainedLoad, BeforeValidator(_load)] = SustainedLoad()


def sustained_section(said: Any) -> Any:
    """The short form is the time alone."""
    return {"time": said} if isinstance(said, str | int | float) and not isinstance(said, bool) else said

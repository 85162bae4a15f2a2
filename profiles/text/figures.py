"""What figures of a device are made of: counts, versions, numbers with their sources."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ..errors import UserError
from .units import parse_bytes


def _number_as_text(value: Any) -> Any:
    # YAML reads an unquoted 8.6 as a number. It stays what was written: 8.65 becomes neither 8.6 nor 8.7.
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _compute_capability(value: str) -> str:
    if not re.fullmatch(r"([2-9]|1[0-9])\.[0-9]", value):
        raise ValueError("no compute capability; accepted: one such as 7.5, 8.6, 8.7, 8.9, 9.0 or 12.0")
    return value


Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
Count = Annotated[int, Field(gt=0)]
Version = Annotated[str, Field(pattern=r"^[0-9]{1,5}(\.[0-9]{1,5}){0,4}$")]
Sm = Annotated[str, BeforeValidator(_number_as_text), AfterValidator(_compute_capability)]
"""A compute capability of NVIDIA's, "8.6"."""


class Strict(BaseModel):
    """A frozen value without unknown keys, with the types that are written."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Figure(Strict):
    """A number and where it comes from: a document, "measured ..." or "derived: ..." with the arithmetic."""

    value: Annotated[float, Field(gt=0)]
    source: Text
    note: str = ""


class ByteFigure(Figure):
    """A figure in bytes; files may write it with a unit ("8 GB", "512 KiB")."""

    @field_validator("value", mode="before")
    @classmethod
    def _with_unit(cls, value: Any) -> Any:
        return bytes_of(value)

    @field_validator("value")
    @classmethod
    def _whole(cls, value: float) -> float:
        if not value.is_integer():
            raise ValueError("is no whole number of bytes")
        return value


def sm_version(text: str) -> tuple[int, int]:
    """A compute capability for comparing: "8.6" is (8, 6), which is less than (12, 0)."""
    major, minor = text.split(".")
    return int(major), int(minor)


def bytes_of(value: Any) -> Any:
    """Text with a unit as bytes; anything else is left to the field's own check."""
    if not isinstance(value, str):
        return value
    try:
        return parse_bytes(value)
    except UserError as error:
        raise ValueError(f"{error.problem}; accepted: {error.accepted}") from None

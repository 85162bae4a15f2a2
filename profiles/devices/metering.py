"""Which meter of a device tells energy, and what an hour of the device costs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ..errors import UserError
from ..text.figures import Figure, Strict
from ..text.named import Line, RemotePath
from ..text.units import parse_duration_s

MOST_WINDOW_S = 120.0


class MeterSection(Strict):
    """`rail` is what is read, several are added up; `scope` says what that covers, where the meter does not.
    `root` is the folder on the device that holds `sys` (for kinds that are files), `program` the tool (for
    kinds that are programs), `window` the least seconds of one window."""

    kind: Literal["rapl", "hwmon", "nvml", "pmic", "tegrastats"]
    rail: Annotated[tuple[Line, ...], Field(max_length=16)] = ()
    scope: Literal["board", "module", "gpu", "package", "memory", "cores", "platform", "rail"] | None = None
    root: RemotePath | None = None
    program: RemotePath | None = None
    window: Annotated[float, Field(gt=0, le=MOST_WINDOW_S)] | None = None

    @field_validator("rail", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if value == []:
            raise ValueError("is an empty list: leave it out, or name a rail")
        return tuple(value) if isinstance(value, list) else (value,) if isinstance(value, str) else value

    @field_validator("window", mode="before")
    @classmethod
    def _with_unit(cls, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("is no time; accepted: a number with its unit, such as '5 s'")
        try:
            return parse_duration_s(value)
        except UserError as error:
            raise ValueError(f"{error.problem}; accepted: {error.accepted}") from None

    @model_validator(mode="after")
    def _of_its_kind(self) -> MeterSection:
        files, tools = ("rapl", "hwmon"), ("pmic", "tegrastats")
        if self.root is not None and self.kind not in files:
            raise ValueError(f"`root` is for {' and '.join(files)}, which are files; {self.kind} is none")
        if self.program is not None and self.kind not in tools:
            raise ValueError(f"`program` is for {' and '.join(tools)}; {self.kind} is no program")
        if self.root is not None and not self.root.startswith("/"):
            raise ValueError(f"`root` is {self.root!r}; accepted: an absolute path on the device")
        return self


def check_prices(price: Figure | None, per_hour: Figure | None, lifetime: Figure | None) -> None:
    """A device is rented, or bought for so many hours of use.

    Raises:
        ValueError: what is said does not go together.
    """
    if lifetime is not None and price is None:
        raise ValueError("`lifetime_h` is that of a device that is bought, and `price_usd` is missing")
    if lifetime is not None and per_hour is not None:
        raise ValueError(
            "a device is rented or bought: leave out `price_usd_per_hour`, or leave out `lifetime_h`"
        )


def hourly(
    price: Figure | None, per_hour: Figure | None, lifetime: Figure | None
) -> tuple[float, str] | None:
    """USD for an hour of the device, and how that follows from its profile; None where it does not say."""
    if per_hour is not None:
        return per_hour.value, f"{per_hour.value:.6g} USD per hour"
    if price is None or lifetime is None:
        return None
    return price.value / lifetime.value, f"{price.value:.6g} USD / {lifetime.value:.6g} h"

"""NVIDIA's cards by NVML: a counter of energy (Volta and later), else their power."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...profiles.meters import GPU, NVML, WINDOW_S
from .meter import Meter, MeterError, MeterFacts, Unreadable, sound_watts

KIND = NVML
_PACKAGE, _MODULE = "nvidia-ml-py", "pynvml"
_SIGNS = (Path("/proc/driver/nvidia"), Path("/dev/nvidiactl"))
_COUNTER = MeterFacts(
    kind=KIND,
    rail="",
    scope=GPU,
    counter=True,
    every_s=0.02,
    window_s=WINDOW_S[KIND],
    settle_s=0.5,
    step=1e-3,
)
# Some cards tell the mean of the last second.
_POWER = MeterFacts(
    kind=KIND,
    rail="",
    scope=GPU,
    counter=False,
    every_s=0.05,
    window_s=WINDOW_S[KIND],
    settle_s=1.5,
    step=1e-3,
)


def library() -> Any:
    """NVIDIA's own package, started.

    Raises:
        MeterError: it is not there, or finds no driver.
    """
    try:
        nvml = importlib.import_module(_MODULE)
    except ImportError as error:
        raise MeterError(f"the package {_PACKAGE} is not there", f"pip install {_PACKAGE}") from error
    try:
        nvml.nvmlInit()
    except Exception as error:
        raise MeterError(f"NVML does not start: {error}") from error
    return nvml


class CardMeter(Meter):
    """One card, by what it can tell."""

    def __init__(self, nvml: Any, handle: Any, rail: str) -> None:
        self._nvml, self._handle, self._before = nvml, handle, 0.0
        try:
            self._called("nvmlDeviceGetTotalEnergyConsumption")
            facts = _COUNTER
        except MeterError:
            self._called("nvmlDeviceGetPowerUsage")
            facts = _POWER
        self.facts = MeterFacts(**{**facts.to_json(), "rail": rail})

    def read(self) -> float:
        """Joules that the card has counted, or watts now."""
        if not self.facts.counter:
            return sound_watts(self._called("nvmlDeviceGetPowerUsage"), self.facts.rail)
        joules = self._called("nvmlDeviceGetTotalEnergyConsumption")
        if joules < self._before:
            raise MeterError(f"the counter of {self.facts.rail} went back from {self._before} to {joules} J")
        self._before = joules
        return joules

    def _called(self, name: str) -> float:
        """Thousandths, as whatever is asked for."""
        try:
            told = getattr(self._nvml, name)(self._handle)
        except Exception as error:  # its own classes, which differ by release
            raise MeterError(f"{name}: {error}") from error
        if isinstance(told, bool) or not isinstance(told, int) or told < 0:
            raise MeterError(f"{name} tells {str(told)[:40]!r}")
        return told / 1000


def found(load: Callable[[], Any] = library, *, named: bool = False) -> tuple[list[Meter], list[Unreadable]]:
    """A meter for each card that programs see here. Nothing is said where there is no sign of a card, and
    nobody has `named` one."""
    try:
        nvml = load()
        count = int(nvml.nvmlDeviceGetCount())
    except Exception as error:
        reason, remedy = (error.reason, error.remedy) if isinstance(error, MeterError) else (str(error), "")
        there = named or any(path.exists() for path in _SIGNS)
        return [], [Unreadable(kind=KIND, rail="", reason=reason, remedy=remedy)] if there else []
    meters: list[Meter] = []
    unreadable = []
    for number in range(min(count, 64)):
        rail = f"card {number}"
        try:
            meters.append(CardMeter(nvml, nvml.nvmlDeviceGetHandleByIndex(number), rail))
        except Exception as error:
            reason = error.reason if isinstance(error, MeterError) else str(error)
            unreadable.append(Unreadable(kind=KIND, rail=rail, reason=reason))
    return meters, unreadable

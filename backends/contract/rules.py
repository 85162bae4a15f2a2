"""From a backend's rules and a profile to what is offered on the device, and why the rest is not.

The rules stand in `rules.yaml` beside the backend's module; reading them imports no runtime, so that a space
can be planned for a device from a machine that has none of them.

* `runs_on`      the section of the profile that the backend computes on: cpu, gpu, or any
* `without`      the reason when the profile lacks that section
* `device`       conditions on the device as a whole
* `precisions`   a rule for each precision that the backend knows; others are refused
* `nm_sparsity`  the rule for 2:4 sparsity; refused where it is left out
* `value_dependent`  kinds of sparsity whose kernels are chosen by the values of weights, where that is so on
  some devices alone; as a caution (where it is so on all, the backend declares it)

A rule may have

* `never`     not offered on any device, for this reason
* `needs`     conditions, each with the reason that is shown where it does not hold
* `cautions`  what to know where it is offered; with `if`, only where that condition holds

A condition holds when all that it names holds: int8_saturates (x86-64 without VNNI), instructions (the
processor has at least one of these instruction sets), nm_sparsity (2:4 units), min_sm with also_sm (extra
ones below it) and except_sm (exceptions above it).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...profiles.devices.instructions import KNOWN
from ...profiles.devices.schema import Gpu, Profile, Sm, sm_version
from ...profiles.precision import Precision
from ...profiles.text.strict_yaml import read_model

NM_SPARSITY = "2:4"
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Whether `backend` offers `what` (a precision, "2:4", or "all") on a device.

    `reason` says why not; where it is offered, it holds what to know beforehand, or nothing.
    """

    backend: str
    what: str
    offered: bool
    reason: str = ""


class _RulePart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class _Condition(_RulePart):
    """Holds when everything that is named holds; what asks about a GPU does not hold without one."""

    int8_saturates: bool = False
    instructions: tuple[str, ...] = ()
    min_sm: Sm | None = None
    also_sm: tuple[Sm, ...] = ()
    except_sm: tuple[Sm, ...] = ()
    nm_sparsity: bool = False

    @field_validator("instructions")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in KNOWN:
                raise ValueError(f"unknown instruction set {name!r}; accepted: {', '.join(KNOWN)}")
        return names

    def holds(self, profile: Profile) -> bool:
        if self.int8_saturates and not profile.int8_saturates:
            return False
        if self.instructions and not (profile.cpu and profile.cpu.has(*self.instructions)):
            return False
        asks_gpu = self.min_sm or self.also_sm or self.except_sm or self.nm_sparsity
        return not asks_gpu or self._gpu_holds(profile.gpu)

    def _gpu_holds(self, gpu: Gpu | None) -> bool:
        if gpu is None or gpu.sm in self.except_sm or (self.nm_sparsity and not gpu.nm_sparsity):
            return False
        at_least = self.min_sm is None or gpu.sm_version >= sm_version(self.min_sm)
        return at_least or gpu.sm in self.also_sm


class _Need(_RulePart):
    condition: _Condition = Field(alias="if")
    reason: Annotated[str, Field(min_length=1)]


class _Caution(_RulePart):
    condition: _Condition = Field(alias="if", default=_Condition())
    text: Annotated[str, Field(min_length=1)]


class _Rule(_RulePart):
    never: str = ""
    needs: tuple[_Need, ...] = ()
    cautions: tuple[_Caution, ...] = ()


class Rules(_RulePart):
    """What a `rules.yaml` says."""

    runs_on: Literal["cpu", "gpu", "any"]
    without: str = ""
    device: tuple[_Need, ...] = ()
    precisions: Mapping[Precision, _Rule]
    nm_sparsity: _Rule | None = None
    value_dependent: Mapping[Literal["dense", "channel", "unstructured", "2:4"], _Caution] = {}


@cache
def read_rules(path: Path) -> Rules:
    """The rules in a YAML file, checked.

    Raises:
        UserError: the file does not fit; names every problem and its place.
    """
    return read_model(Rules, path, "rules of a backend")


def offers_by(rules: Rules, backend: str, title: str, profile: Profile) -> tuple[Offer, ...]:
    """One offer per precision, in the notation's order, then "2:4"; what the rules do not list is refused.

    Where the backend cannot run on the device at all, there is a single one, for "all", with the reason.
    """
    if refusal := _device_refusal(rules, profile):
        return (Offer(backend=backend, what=ALL, offered=False, reason=refusal),)
    asked = (precision for precision in Precision if precision is not Precision.GIVEN)
    listed = [(str(precision), rules.precisions.get(precision)) for precision in asked]
    listed.append((NM_SPARSITY, rules.nm_sparsity))
    return tuple(
        _offer(backend, what, rule or _Rule(never=f"{title} does not offer {what}"), profile)
        for what, rule in listed
    )


def offers_of(able: Collection[Precision], backend: str, title: str, profile: Profile) -> tuple[Offer, ...]:
    """As `offers_by`, for a backend that has no rules and names its precisions itself."""
    rules = Rules(runs_on="any", precisions={precision: _Rule() for precision in able})
    return offers_by(rules, backend, title, profile)


def _device_refusal(rules: Rules, profile: Profile) -> str:
    """Why the backend cannot run on the device at all, or ""."""
    section = {"cpu": profile.cpu, "gpu": profile.gpu, "any": profile}[rules.runs_on]
    if section is None:
        return rules.without or f"needs a {rules.runs_on}, and this profile describes none"
    return _first_unmet(rules.device, profile)


def _first_unmet(needs: tuple[_Need, ...], profile: Profile) -> str:
    return next((need.reason for need in needs if not need.condition.holds(profile)), "")


def _offer(backend: str, what: str, rule: _Rule, profile: Profile) -> Offer:
    refusal = rule.never or _first_unmet(rule.needs, profile)
    if refusal:
        return Offer(backend=backend, what=what, offered=False, reason=refusal)
    cautions = [item.text for item in rule.cautions if item.condition.holds(profile)]
    return Offer(backend=backend, what=what, offered=True, reason="; ".join(cautions))


def value_dependent_by(rules: Rules, profile: Profile) -> dict[str, str]:
    """Kinds of sparsity whose latency depends on the values of weights on the device, with the reason."""
    asked = rules.value_dependent.items()
    return {kind: caution.text for kind, caution in asked if caution.condition.holds(profile)}

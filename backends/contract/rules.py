"""Which precisions and which sparsity a backend offers on a device, and why not the others; and where its
kernels depend on the values of the weights.

The table is `capability.yaml`; reading it imports no runtime, so that a space can be planned for a device
from a machine that has none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...profiles.errors import InternalError, UserError
from ...profiles.precision import Precision
from ...profiles.schema import Gpu, Profile, sm_version
from ...profiles.strict_yaml import read_mapping, validate

NM_SPARSITY = "2:4"
ALL = "all"
_TABLE = Path(__file__).parent.parent.joinpath("capability.yaml")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Whether `backend` offers `what` (a precision, "2:4", or "all") on a device.

    `reason` says why not; where it is offered, it holds what to know beforehand, or nothing.
    """

    backend: str
    what: str
    offered: bool
    reason: str = ""


def offers(backend: str, profile: Profile) -> tuple[Offer, ...]:
    """One offer per precision, in the notation's order, then "2:4".

    Where the backend cannot run on the device at all, there is a single one, for "all", with the reason.

    Raises:
        UserError: there is no such backend in the table, or a backend of the user's own cannot be loaded.
    """
    if ":" in backend:
        return _own_offers(backend, profile)
    return table_offers(backend, profile)


def _own_offers(backend: str, profile: Profile) -> tuple[Offer, ...]:
    # A backend of the user's own is in no table and speaks for itself.
    from ..registry import get_backend

    able = get_backend(backend).precisions(profile)
    reason = f"{backend} does not name it among its precisions"
    rules = [(str(precision), precision in able, reason) for precision in Precision]
    rules.append((NM_SPARSITY, False, "offered for backends of the capability table alone"))
    return tuple(Offer(backend=backend, what=w, offered=ok, reason="" if ok else r) for w, ok, r in rules)


def table_offers(backend: str, profile: Profile) -> tuple[Offer, ...]:
    """As `offers`, from the table alone.

    Raises:
        UserError: there is no such backend in the table.
    """
    entry = _entry(backend)
    refusal = _device_refusal(entry, profile)
    if refusal:
        return (Offer(backend=backend, what=ALL, offered=False, reason=refusal),)
    rules = [(str(precision), entry.precisions[precision]) for precision in Precision]
    rules.append((NM_SPARSITY, entry.nm_sparsity))
    return tuple(_offer(backend, what, rule, profile) for what, rule in rules)


def offered_precisions(backend: str, profile: Profile) -> tuple[Precision, ...]:
    """The precisions that the backend offers on the device, in the notation's order; () where it cannot run.

    Raises:
        UserError: there is no such backend in the table.
    """
    whats = {offer.what for offer in offers(backend, profile) if offer.offered}
    return tuple(precision for precision in Precision if str(precision) in whats)


def nm_sparsity_offered(backend: str, profile: Profile) -> Offer:
    """The offer for 2:4 sparsity; refused with the device's reason where the backend cannot run at all.

    Raises:
        UserError: there is no such backend in the table.
    """
    last = offers(backend, profile)[-1]
    return Offer(backend=backend, what=NM_SPARSITY, offered=last.offered, reason=last.reason)


def value_dependent(backend: str, sparsity: str) -> str:
    """Why latency may depend on the values of the weights, for a sparsity in the project's notation; or "".

    Where there is a reason, what was measured with untrained weights need not hold for trained ones. A
    backend of the user's own says it itself (`Backend.value_dependent`).

    Raises:
        UserError: there is no such backend in the table, or a backend of the user's own cannot be loaded.
    """
    kind = sparsity if sparsity == NM_SPARSITY else sparsity.partition(":")[0]
    if ":" in backend:
        from ..registry import get_backend

        return get_backend(backend).value_dependent.get(kind, "")
    return _entry(backend).value_dependent.get(cast(SparsityKind, kind), "")


SparsityKind = Literal["dense", "channel", "unstructured", "2:4"]
Sm = Annotated[str, Field(pattern=r"^\d{1,2}\.\d$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class _Condition(_Strict):
    """Holds when everything that is named holds; what asks about a GPU does not hold without one."""

    int8_saturates: bool = False
    min_sm: Sm | None = None
    also_sm: tuple[Sm, ...] = ()
    except_sm: tuple[Sm, ...] = ()
    nm_sparsity: bool = False

    def holds(self, profile: Profile) -> bool:
        if self.int8_saturates and not profile.int8_saturates:
            return False
        asks_gpu = self.min_sm or self.also_sm or self.except_sm or self.nm_sparsity
        return not asks_gpu or self._gpu_holds(profile.gpu)

    def _gpu_holds(self, gpu: Gpu | None) -> bool:
        if gpu is None or gpu.sm in self.except_sm or (self.nm_sparsity and not gpu.nm_sparsity):
            return False
        at_least = self.min_sm is None or gpu.sm_version >= sm_version(self.min_sm)
        return at_least or gpu.sm in self.also_sm


class _Need(_Strict):
    condition: _Condition = Field(alias="if")
    reason: Annotated[str, Field(min_length=1)]


class _Caution(_Strict):
    condition: _Condition = Field(alias="if", default=_Condition())
    text: Annotated[str, Field(min_length=1)]


class _Rule(_Strict):
    never: str = ""
    needs: tuple[_Need, ...] = ()
    cautions: tuple[_Caution, ...] = ()


class _Entry(_Strict):
    title: str
    runs_on: Literal["cpu", "gpu", "any"]
    without: str
    device: tuple[_Need, ...] = ()
    precisions: Mapping[Precision, _Rule]
    nm_sparsity: _Rule
    value_dependent: Mapping[SparsityKind, Annotated[str, Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _complete(self) -> _Entry:
        missing = [str(precision) for precision in Precision if precision not in self.precisions]
        if missing:
            raise ValueError(f"precisions without a rule: {', '.join(missing)}")
        return self


class _Table(_Strict):
    backends: Mapping[str, _Entry]


def read_table(path: Path) -> _Table:
    """The capability table in a YAML file, checked.

    Raises:
        UserError: the file does not fit; names every problem and its place.
    """
    return validate(_Table, {"backends": read_mapping(path, "capability table")}, str(path))


@cache
def _shipped() -> _Table:
    try:
        return read_table(_TABLE)
    except UserError as error:
        raise InternalError(str(error)) from error


def _entry(backend: str) -> _Entry:
    table = _shipped().backends
    if backend not in table:
        names = ", ".join(name for name in table if name != "null")
        raise UserError(f"unknown backend {backend!r}", accepted=names)
    return table[backend]


def _device_refusal(entry: _Entry, profile: Profile) -> str:
    """Why the backend cannot run on the device at all, or ""."""
    section = {"cpu": profile.cpu, "gpu": profile.gpu, "any": profile}[entry.runs_on]
    if section is None:
        return entry.without
    return _first_unmet(entry.device, profile)


def _first_unmet(needs: tuple[_Need, ...], profile: Profile) -> str:
    return next((need.reason for need in needs if not need.condition.holds(profile)), "")


def _offer(backend: str, what: str, rule: _Rule, profile: Profile) -> Offer:
    refusal = rule.never or _first_unmet(rule.needs, profile)
    if refusal:
        return Offer(backend=backend, what=what, offered=False, reason=refusal)
    cautions = [item.text for item in rule.cautions if item.condition.holds(profile)]
    return Offer(backend=backend, what=what, offered=True, reason="; ".join(cautions))

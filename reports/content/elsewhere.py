"""A device that is not the machine that trained: what it computes from the same files, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...profiles.packages import differing
from ...search.ranking.wrong_devices import checked_artifacts
from ...search.record.agreement import Agreement
from ...search.record.evaluation import StudyRecord


@dataclass(frozen=True, kw_only=True)
class AgreementRow:
    """How one artifact's outputs on the device compare, as texts."""

    number: int
    title: str
    agrees: bool
    off: str
    allowed: str
    own: str
    worst: str
    flipped: str
    samples: int
    said: str


def agreement_rows(record: StudyRecord) -> tuple[AgreementRow, ...]:
    """Each artifact that was computed on both; those that differ too much first."""
    return tuple(_row(one.number, one.candidate.title, one.agreement) for one in checked_artifacts(record))


def _row(number: int, title: str, agreement: Agreement) -> AgreementRow:
    own, flipped = agreement.own, agreement.flipped
    return AgreementRow(
        number=number,
        title=title,
        agrees=agreement.agrees,
        off=share_text(agreement.off),
        allowed=share_text(agreement.allowed),
        own="" if own is None else share_text(own),
        worst=share_text(agreement.worst),
        flipped="" if flipped is None else f"{flipped} of {agreement.samples}",
        samples=agreement.samples,
        said="computes wrongly" if not agreement.agrees else agreement.known or "agrees",
    )


def agreement_lines(agreement: Agreement | None) -> list[str]:
    """The same of one trial, for `explain`."""
    if agreement is None:
        return []
    row = _row(0, "", agreement)
    lines = [f"{row.said}: {row.off} off over {row.samples} samples, {row.allowed} is possible"]
    if agreement.why:
        lines = [f"{row.said}: {agreement.why}"]
    lines.append(
        f"{row.worst} off in the sample with the most, {share_text(agreement.worst_allowed)} is possible"
    )
    lines += [f"the precision itself costs {row.own}"] if row.own else []
    lines += [f"another largest score for {row.flipped} samples"] if row.flipped else []
    lines += [
        f"{name}: {agreement.there.get(name, 'none')} on the device, {agreement.here.get(name, 'none')} here"
        for name in dict.fromkeys((*agreement.there, *agreement.here))
    ]
    return [f"- {line}" for line in lines]


def share_text(share: float) -> str:
    """ "0.12 %"; "0" where it is none, "below 0.0001 %" where it hardly is."""
    if share == 0:
        return "0"
    if share < 1e-6:
        return "below 0.0001 %"
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


@dataclass(frozen=True, kw_only=True)
class Differs:
    """One thing that differs between the device and the machine that trained."""

    name: str
    device: str
    host: str


_COMPARED = ("system", "machine", "processor", "python")


def differences(record: StudyRecord) -> tuple[Differs, ...]:
    """What differs between both, packages last; empty where they are one machine."""
    device, host = record.environment, record.host
    if not host:
        return ()
    plain = [(name, str(device.get(name, "")), str(host.get(name, ""))) for name in _COMPARED]
    found = [Differs(name=n, device=d, host=h) for n, d, h in plain if d != h]
    for name, (here, there) in differing(_packages(host), _packages(device)).items():
        found.append(Differs(name=name, device=there, host=here))
    return tuple(found)


def _packages(environment: Mapping[str, Any]) -> dict[str, str]:
    packages = environment.get("packages")
    return {str(k): str(v) for k, v in packages.items()} if isinstance(packages, Mapping) else {}

"""Where a bundle was checked then, and where it is now: runtime, processor, and what both have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...backends.measure.environment import environment
from ...backends.registry import get_backend, packages
from ...backends.runner.client import RunnerClient
from ...profiles.devices.instructions import architecture_of, canonical, int8_saturates
from ...profiles.errors import StageError, UserError
from ...profiles.words import one_line
from ..job.reached import Reached
from ..record.checks import VERSIONS, CheckOutcome, MetricCheck
from .inspection import Inspection
from .numerics import Alike
from .shipped import Shipped

MOST_BUSY = 0.5
"""Of the cores: with more of them in use, what is not interleaved with anything is not judged."""
_MACHINE: Mapping[str, str] = {"processor": "processor", "machine": "architecture", "cores": "cores"}


def environment_of(reached: Reached) -> Mapping[str, Any]:
    """What the device says of itself now."""
    return reached.environment or environment(packages())


def check_runtime(inspection: Inspection, one: Shipped) -> None:
    """See that the runtime of an artifact is there; it is loaded in a process of its own.

    Raises:
        UserError: it is not, with the command that installs it; or the device cannot be reached.
    """
    device, where = inspection.reached.launch.device, "" if inspection.here else " there"
    with RunnerClient(inspection.reached.launch, guard=inspection.guard) as runner:
        try:
            found = runner.available(one.backend)
            reason = "" if found.installed else found.reason or "it is not installed"
        except StageError as error:
            if error.outside:
                raise gone(error, device) from error
            reason = error.cause
    if reason:
        raise UserError(
            f"the runtime of {one.name}, {get_backend(one.backend).title}, cannot be used on {device}",
            found=one_line(reason, 300),
            accepted=versions_text(one.versions, get_backend(one.backend).packages),
            remedy=f"{install_line(one)}{where}",
        )


def gone(error: StageError, device: str) -> UserError:
    """Something from outside has ended the check: it says nothing about what was checked."""
    return UserError(
        f"it could not be checked: something on {device} has ended it, twice",
        found=error.cause,
        remedy="see what ended it (memory, a quota, whoever stops processes there) and check again",
    )


def install_line(one: Shipped) -> str:
    """The command that installs the runtime as it was when the artifact was made."""
    known = [f"{name}=={one.versions[name]}" for name in _pinned(one)]
    return f"pip install {' '.join(known)}" if known else get_backend(one.backend).install


def _pinned(one: Shipped) -> list[str]:
    return [name for name in get_backend(one.backend).packages if name in one.versions]


def versions_check(one: Shipped, there: Mapping[str, Any]) -> MetricCheck:
    """Whether the runtime is of the version that the artifact was made and checked with."""
    installed = {str(name): str(version) for name, version in (there.get("packages") or {}).items()}
    names = get_backend(one.backend).packages
    now = {name: installed[name] for name in names if name in installed}
    then = {name: one.versions[name] for name in _pinned(one)}
    if not then or not now:
        missing = "it does not say" if not then else "the device does not say"
        return _versions(one, CheckOutcome.SKIPPED, f"{missing} which version its runtime has")
    if then.items() <= now.items():
        return _versions(one, CheckOutcome.PASSED, f"{versions_text(now, names)}, as recorded")
    said = f"{versions_text(now, names)} is installed, it was made with {versions_text(then, names)}"
    return _versions(one, CheckOutcome.WARNING, said)


def _versions(one: Shipped, outcome: CheckOutcome, reason: str) -> MetricCheck:
    return MetricCheck(subject=one.name, metric=VERSIONS, outcome=outcome, reason=reason)


def versions_text(versions: Mapping[str, str], names: tuple[str, ...]) -> str:
    """ "onnxruntime 1.31.1"."""
    return ", ".join(f"{name} {versions[name]}" for name in names if name in versions)


def other_machine(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Why times of both must not be compared, in some words; empty where it is a machine of the same kind."""
    if not then.get("processor"):
        return "it does not say on which machine it was measured"
    differing = [
        f"{title} {now.get(name) or 'unknown'}, then {then[name]}"
        for name, title in _MACHINE.items()
        if then.get(name) and then[name] != now.get(name)
    ]
    if not differing and _instructions(then) != _instructions(now):
        differing = ["other instruction sets than then"]
    return f"another machine than it was measured on ({'; '.join(differing)})" if differing else ""


def busy(now: Mapping[str, Any]) -> str:
    """That others use the device at this moment, in some words; empty where they hardly do. What is measured
    interleaved does not mind; what happens once does."""
    loads, cores = now.get("load_average") or [], now.get("affinity") or []
    wanted = float(loads[0]) if loads else 0.0
    has = len(cores) or int(now.get("cores") or 1)
    return f"others use the device (load {wanted:.1f} on {has} cores)" if wanted > MOST_BUSY * has else ""


def alike(one: Shipped, then: Mapping[str, Any], now: Mapping[str, Any], *, pinned: bool) -> Alike:
    """What numbers may differ by; `pinned`: the versions of the runtime are the same."""
    same = bool(_instructions(then)) and _instructions(then) == _instructions(now)
    return Alike(same_numbers=same and pinned, saturates=bool(then) and _saturates(then) != _saturates(now))


def _instructions(of: Mapping[str, Any]) -> tuple[str, ...]:
    told = of.get("instructions")
    return tuple(sorted(canonical(map(str, told)))) if isinstance(told, list | tuple) else ()


def _saturates(of: Mapping[str, Any]) -> bool:
    return int8_saturates(architecture_of(str(of.get("machine") or "")), _instructions(of))

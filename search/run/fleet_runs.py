"""The runs of one study on its own device and on those that it was retargeted to."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...profiles.errors import UserError, at_place
from ...profiles.files import is_file
from ...profiles.words import one_line
from ..job.places import places_of
from ..job.study_file import load_study_file
from ..ranking.ask_again import of_device
from ..record.evaluation import StudyRecord
from ..storage.run_file import RUN_FILE, read_run_file
from .stored import record_of, stored_study

_SHARE = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class DeviceRun:
    """A run on one device. `named` is the profile as it was given, "" for the study's own."""

    record: StudyRecord
    run_dir: Path
    named: str = ""


@dataclass(frozen=True, kw_only=True)
class FleetRuns:
    """The runs by their devices, the study's own first, and a sentence for each that could not be read."""

    study: str
    study_file: Path
    runs: Mapping[str, DeviceRun]
    skipped: tuple[str, ...] = ()


def first_run(path: Path) -> Path:
    """The directory of the first study's run; `path` is its file, its run, or that of one retargeted from it.

    Raises:
        UserError: there is no run.
    """
    if is_file(path):
        file = load_study_file(path)
        run_dir = places_of(file, path).run_dir
        if not (run_dir / RUN_FILE).is_file():
            raise UserError(
                f"the study {file.name!r} was not run yet", place=str(path), remedy=f"paretune run {path}"
            )
        return run_dir
    run = read_run_file(path)
    return first_run(path.resolve().parent / run.of) if run.of else path


def fleet_runs(path: Path) -> FleetRuns:
    """The runs of a study on all its devices.

    Raises:
        UserError: the study itself has no results.
    """
    own_dir = first_run(path)
    own = read_run_file(own_dir)
    record = record_of(*stored_study(own_dir))
    runs, skipped = {record.profile: DeviceRun(record=record, run_dir=own_dir)}, []
    for run_dir in sorted(file.parent for file in own_dir.resolve().parent.glob(f"*/{RUN_FILE}")):
        try:
            found = read_run_file(run_dir)
            if found.of != own.name:
                continue
            other = record_of(*stored_study(run_dir))
            # Of two devices with one name (two machines' `host`), the second goes by the name of its run.
            device = run_dir.name if other.profile in runs else other.profile
            runs[device] = DeviceRun(record=other, run_dir=run_dir, named=found.profile)
        except UserError as error:
            skipped.append(f"{run_dir.name} was not read: {error.problem}")
    return FleetRuns(study=own.name, study_file=own.study_file, runs=runs, skipped=tuple(skipped))


def devices_asked(runs: FleetRuns, text: str) -> dict[str, float]:
    """The devices of a text like "pi,host=50", each with its share of the fleet; "all" are those known.

    A device is named by its profile's name, or as the profile was named when it was retargeted.

    Raises:
        UserError: one is not known, named twice or has no usable share, or there are fewer than two.
    """
    names = _names(runs)
    found: dict[str, float] = {}
    with at_place("--devices"):
        for part in _all_of_a_kind(runs) if text.strip() == "all" else text.split(","):
            name, equals, share = (side.strip() for side in part.partition("="))
            device = names.get(name)
            if device is None:
                raise _unknown(runs, name)
            if device in found:
                raise UserError(f"{device} is named twice", found=one_line(text, 80))
            found[device] = _share(share) if equals else 1.0
        _check_one_kind(runs, found)
        if len(found) < 2:
            raise UserError(
                "a fleet has two devices or more",
                found=", ".join(found) + _left_out(runs, found),
                accepted=", ".join(runs.runs),
                remedy=f"`paretune retarget {runs.study_file} --profile OTHER` adds one; without --devices, "
                "`choose` answers for one device",
            )
    return found


def _names(runs: FleetRuns) -> dict[str, str]:
    """Each device by its name, and as its profile was named."""
    names = {run.named: device for device, run in runs.runs.items() if run.named}
    return names | {device: device for device in runs.runs}  # a device's name goes before a profile's


def limits_by_device(
    runs: FleetRuns, devices: Iterable[str], texts: Iterable[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """The limits that are for all devices, and those that are for one of these alone ("pi: latency <= 5 ms").

    Raises:
        UserError: one is for a device that is not asked for.
    """
    names, everywhere = _names(runs), list[str]()
    own: dict[str, list[str]] = {device: [] for device in devices}
    for text in texts:
        name, limit = of_device(text)
        if not name:
            everywhere.append(limit)
        elif names.get(name, "") in own:
            own[names[name]].append(limit)
        else:
            raise UserError(
                f"a limit is for {name!r}, which is not asked for",
                place="--where",
                found=one_line(text, 80),
                accepted=", ".join(own),
                remedy="name the device in --devices, or a device as it is named there"
                if name not in names
                else f"add {name} to --devices",
            )
    return everywhere, own


def _left_out(runs: FleetRuns, found: Container[str]) -> str:
    others = [name for name, run in runs.runs.items() if run.record.estimated and name not in found]
    return f"; {', '.join(others)} was estimated, not measured" if others else ""


def _all_of_a_kind(runs: FleetRuns) -> list[str]:
    """The devices that were measured; those that were estimated, where fewer than two were measured."""
    estimated = [name for name, run in runs.runs.items() if run.record.estimated]
    measured = [name for name in runs.runs if name not in estimated]
    return measured if len(measured) > 1 or len(estimated) < 2 else estimated


def _check_one_kind(runs: FleetRuns, devices: Iterable[str]) -> None:
    """Raises:
    UserError: some were measured, others estimated: what is lost on the ones says nothing beside the others.
    """
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for device in devices:
        kinds[runs.runs[device].record.estimated is not None].append(device)
    if all(kinds.values()):
        raise UserError(
            "devices that were measured and devices that were estimated have no answer in common",
            found=f"estimated: {', '.join(kinds[True])}; measured: {', '.join(kinds[False])}",
            accepted="devices of one kind",
            remedy="ask for each kind apart; each run's own report has its numbers",
        )


def _unknown(runs: FleetRuns, name: str) -> UserError:
    return UserError(
        f"nothing is known of {one_line(repr(name), 80)}: {runs.study} was not run there",
        accepted=f"{', '.join(runs.runs)}, or all of them: all",
        remedy=f"`paretune retarget {runs.study_file} --profile {name or 'OTHER'}`",
    )


def _share(text: str) -> float:
    if not _SHARE.fullmatch(text) or not float(text):
        raise UserError(
            "no share of a fleet",
            found=one_line(repr(text), 80),
            accepted="a number above 0, say how many such devices there are: pi=1000,host=50",
        )
    return float(text)


def fill_command(runs: FleetRuns, device: str) -> str:
    """What evaluates more candidates on a device."""
    run = runs.runs[device]
    estimate = " --estimate" if run.record.estimated else ""
    if run.named:
        return f"paretune retarget {runs.study_file} --profile {run.named}{estimate}"
    return f"paretune run {runs.study_file}{estimate}"


def first_record(record: StudyRecord, run_dir: Path) -> StudyRecord | None:
    """The record of the study whose models a retargeted one has; None where there is none to be read."""
    if not record.retargets:
        return None
    try:
        return record_of(*stored_study(run_dir.resolve().parent / record.retargets))
    except UserError:
        return None

"""From a board with Python and sshd alone to one that answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...profiles.devices.loader import load_profile
from ...profiles.devices.reported import fit_of
from ...profiles.devices.schema import Profile
from ...profiles.errors import StageError, UserError
from ...profiles.packages import versions
from ...profiles.words import duration, joined, one_line
from ..runner.launch import SshLaunch, launch_for
from .board import Board, ask
from .delivery import Delivery
from .drafting import draft, file_for, reach_of
from .parts import Part, PreparedSet, part_of, runner_digest, runner_part, trimmed
from .requirements import check_board
from .runtimes import NUMPY, Gathered, Runtime, gather, name_and_version, runtimes_for
from .steps import Steps
from .trial import shown, try_runner
from .undisturbed import undisturbed
from .wheelhouse import Wheelhouse, check_pip, default_cache, target_of


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a user asks for: backends by name (none: the usual ones), a folder with wheels, for a board
    without a profile how it is reached and by which Python, and whether what is there is sent again."""

    backends: Sequence[str] = ()
    wheels: Path | None = None
    reach: str | None = None
    python: str = ""
    again: bool = False


def set_up(name: str, wish: Wish, steps: Steps, device: str = "") -> str:
    """Make the board of a profile ready (of a pool the one of that name, or all of them); says in a line what
    was done.

    Raises:
        UserError: no such profile, the board is not reached, or cannot be made ready; of a pool one, once all
            others were seen to.
    """
    if not device and wish.reach is None and not wish.python and (pool := load_profile(name).pool):
        return _all_of(pool, name, wish, steps)
    started = time.monotonic()
    profile, board = _asked(name, wish, steps, device)
    launch = _launch(profile, device)
    runtimes = runtimes_for(profile, wish.backends)
    remarks = fit_of(profile, board.environment())
    for remark in remarks:
        steps.note(remark)
    gathered = _gathered(board, runtimes, wish, steps)
    prepared = _prepared(board, runtimes, gathered)
    there = dict(map(name_and_version, gathered.wheels))
    with Delivery(launch, prepared, steps, again=wish.again) as delivery:
        size = delivery.bytes_to_send
        if delivery.current and not delivery.missing:
            told = _versions(there, runtimes)
            return _line(launch, prepared, [*told, "nothing to do"], gathered.left_out)
        with undisturbed(launch, steps):
            delivery.send()
            brought = [one for one in runtimes if one.name not in gathered.left_out]
            trial = try_runner(launch, prepared, brought, steps, profile)
        delivery.switch()
    told = _versions({**there, **trial.versions}, runtimes)
    did = f"{size / 1e6:.1f} MB sent, {duration(time.monotonic() - started)}"
    return _line(launch, prepared, [*told, did], gathered.left_out, trial.broken)


def _all_of(pool: Sequence[str], name: str, wish: Wish, steps: Steps) -> str:
    """What was done on each device of a pool, whatever came of those before it.

    Raises:
        UserError, StageError: one is not ready; what was done on the others is noted.
    """
    done, failed = list[str](), dict[str, StageError | UserError]()
    for device in pool:
        try:
            done.append(set_up(name, wish, steps, device))
        except (StageError, UserError) as error:
            failed[device] = error
    if not failed:
        return "\n".join(done)
    for line in done:
        steps.note(line)
    if len(failed) == 1:
        raise next(iter(failed.values()))
    for each in failed.values():
        steps.note(str(each))
    raise UserError(
        f"{joined([*failed])} are not ready",
        place=name,
        found="; ".join(one_line(str(each), 200) for each in failed.values()),
        remedy="see to them and set up again: where a board is ready, nothing is done",
    )


def _asked(name: str, wish: Wish, steps: Steps, device: str) -> tuple[Profile, Board]:
    """The profile, drafted where it is wanted, and what its board says."""
    if wish.python and wish.reach is None:
        raise UserError(
            "`--python` says how a board without a profile is reached, and `--reach` is missing",
            remedy="name the Python in the profile: `reach: {python: ...}`",
        )
    reach = reach_of(wish.reach, wish.python) if wish.reach is not None else None
    into = file_for(name, reach) if reach else None
    if reach is None or into is None:
        profile = load_profile(name)
        return profile, _board(_launch(profile, device), steps)
    given = {key: value for key, value in reach.model_dump().items() if value and key != "kind"}
    board = _board(SshLaunch(**given), steps)
    profile = draft(board, reach, into)
    steps.note(f"drafted {into} from what the board says of itself: {profile.title}")
    return profile, board


def _board(launch: SshLaunch, steps: Steps) -> Board:
    steps.stage(f"asking {launch.device} what it is")
    board = ask(launch)
    check_board(board, launch)
    return board


def _launch(profile: Profile, device: str) -> SshLaunch:
    launch = launch_for(profile.of_device(device), device)
    if not isinstance(launch, SshLaunch):
        raise UserError(
            f"{profile.name} is this machine, which needs no setup",
            accepted="a profile with `reach: {kind: ssh, host: ...}`",
        )
    return launch


def _gathered(board: Board, runtimes: Sequence[Runtime], wish: Wish, steps: Steps) -> Gathered:
    check_pip()
    target = target_of(board.python, board.machine)
    steps.stage(f"gathering wheels for {target.title}")
    house = Wheelhouse(target=target, cache=default_cache(), given=wish.wheels)
    gathered = gather(house, runtimes, own_numpy=NUMPY in board.packages)
    refused = {name: why for name, why in gathered.left_out.items() if name in wish.backends}
    for name, why in refused.items():
        raise UserError(
            f"{name} cannot be brought to {target.title}",
            found=why,
            remedy="leave out `--backend`, or name others",
        )
    return gathered


def _prepared(board: Board, runtimes: Sequence[Runtime], gathered: Gathered) -> PreparedSet:
    cache = default_cache()
    patterns = {name: files for one in runtimes for name, files in one.files.items()}
    parts = [runner_part(cache), *(_wheel_part(path, patterns, cache) for path in gathered.wheels)]
    return PreparedSet(tag=board.python.tag, runner=runner_digest(), parts=parts)


def _wheel_part(wheel: Path, patterns: Mapping[str, tuple[str, ...]], cache: Path) -> Part:
    name, version = name_and_version(wheel)
    archive = trimmed(wheel, patterns[name], cache) if name in patterns else wheel
    return part_of(archive, f"{name}-{version}")


def _versions(there: Mapping[str, str], runtimes: Sequence[Runtime]) -> list[str]:
    """Of numpy and the runtimes, with those of this machine where they are others."""
    names = [name for name in shown(runtimes) if name in there]
    here = versions(names)
    other = {name: f" (here {here[name]})" for name in names if here.get(name, there[name]) != there[name]}
    told = [f"{name} {there[name]}{other.get(name, '')}" for name in names]
    return told if runtimes else [*told, "no runtime (none that is installed here is offered there)"]


def _line(
    launch: SshLaunch,
    prepared: PreparedSet,
    told: Sequence[str],
    left_out: Mapping[str, str],
    broken: Mapping[str, str] | None = None,
) -> str:
    """What was done, in a line."""
    parts = [f"{launch.device} is ready: {', '.join([f'runner {prepared.runner}', *told])}"]
    parts += [f"{name} is left out: {one_line(why, 300)}" for name, why in left_out.items()]
    parts += [f"{name} does not load there: {one_line(why, 300)}" for name, why in (broken or {}).items()]
    return "; ".join(parts)

"""One message for each way in which a device that was reached gives no runner. What a shell or Python finds
there comes as numbers and names (`boot.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...profiles.files import FULL
from ...profiles.system_trouble import refusal
from ...profiles.words import one_line
from .boot import LEAST_PYTHON
from .child import LOST_LINE, died_from_outside, last_words, status_in_words
from .launch import Launch, SshLaunch
from .ssh_words import SEE, by_ssh
from .trouble import Trouble, UnreachableError

READY = "`paretune devices setup` with this profile makes it ready"
"""What makes a device one that has a runner."""


def by_status(launch: Launch, status: int | None, log: str, said: str) -> UnreachableError:
    """What the end of the login means; `said` is what its shell printed."""
    if status == LOST_LINE and (told := by_ssh(launch, log)):
        return told
    words = last_words(log) or one_line(said, 300)
    if status == LOST_LINE:
        return UnreachableError(
            launch,
            Trouble.SILENT,
            problem="the line was lost",
            found=words or "ssh says nothing",
            remedy=_see(launch),
        )
    python = launch.python if isinstance(launch, SshLaunch) else "python"
    if status in (126, 127):  # of every shell: it cannot be run, there is none
        return UnreachableError(
            launch,
            Trouble.NO_RUNNER,
            problem=f"there is no {python} that runs",
            found=words or f"exit status {status}",
            remedy=f"name its Python under `reach` in the profile (`python: ...`), or {READY}",
        )
    if died_from_outside(status, log, remote=True, limited=False):  # it may well start in a moment
        return UnreachableError(
            launch,
            Trouble.SILENT,
            problem=f"its runner did not start, {status_in_words(status, log, remote=True)}",
            found=words or "it had said nothing",
            remedy="see what the device's system log says, and that it has memory left",
        )
    return UnreachableError(
        launch,
        Trouble.NO_RUNNER,
        problem=f"the command there {status_in_words(status, log, remote=True)}",
        found=words or "it had said nothing",
        remedy=f"{_see(launch)}, and that its login shell runs commands; {READY}",
    )


def _see(launch: Launch) -> str:
    return SEE.format(by_hand=launch.by_hand)


def by_facts(launch: Launch, facts: Mapping[str, Any]) -> UnreachableError:
    """What the first lines of Python on the device tell (`boot.py`); every field may be anything."""
    what, said = str(facts.get("what")), one_line(str(facts.get("said")), 300)
    name = one_line(f"Python {facts.get('python')} ({facts.get('executable')})", 200)
    make = {"python": _old, "workdir": _workdir, "prepared": _prepared, "import": _import}.get(what, _import)
    return make(launch, facts, said, name)


def _old(launch: Launch, facts: Mapping[str, Any], said: str, name: str) -> UnreachableError:
    return UnreachableError(
        launch,
        Trouble.NO_RUNNER,
        problem="its Python is too old",
        found=name,
        accepted=f"Python {'.'.join(map(str, LEAST_PYTHON))} or later",
        remedy=f"name another under `reach` in the profile (`python: python3.11`), or {READY}",
    )


def _workdir(launch: Launch, facts: Mapping[str, Any], said: str, name: str) -> UnreachableError:
    full = facts.get("number") in FULL
    folder = one_line(str(facts.get("folder")), 200)
    return UnreachableError(
        launch,
        Trouble.FULL if full else Trouble.NO_RUNNER,
        problem="no space is left there" if full else "its working directory cannot be used",
        found=f"{folder}: {said}",
        remedy="free some space there"
        if full
        else "name another under `reach` in the profile, `workdir: ...`",
    )


def _prepared(launch: Launch, facts: Mapping[str, Any], said: str, name: str) -> UnreachableError:
    tag = one_line(str(facts.get("tag")), 60)
    return UnreachableError(
        launch,
        Trouble.NO_RUNNER,
        problem="what was prepared there is for another Python"
        if tag
        else "what was prepared there is damaged",
        found=f"{tag or said}, and its Python is {name}",
        remedy=READY,
    )


def _import(launch: Launch, facts: Mapping[str, Any], said: str, name: str) -> UnreachableError:
    missing = str(facts.get("missing") or "")
    # Memory, threads or files may be had in a moment; a library on a disk that is mounted `noexec` may not.
    lacked = facts.get("kind") == "MemoryError" or (refusal(said) and "map segment" not in said)
    package = missing.partition(".")[0]
    if package == "paretune":
        other = missing != "paretune"
        problem = "its paretune is of another version" if other else "there is no paretune"
        remedy = f"{READY}; by hand, install the paretune of this machine there"
    elif missing:
        problem, remedy = f"its Python has no {package}", f"{READY}; by hand, install {package} there"
    else:
        problem, remedy = (
            "the runner's libraries cannot be loaded there",
            f"{READY}; by hand, mend that install",
        )
    trouble = Trouble.SILENT if lacked else Trouble.NO_RUNNER
    return UnreachableError(
        launch, trouble, problem=problem, found=f"{said or missing}, in its {name}", remedy=remedy
    )


def slow(launch: Launch, open_s: float, how_far: str, log: str) -> UnreachableError:
    """Nothing of a runner came within its time."""
    told = by_ssh(launch, log)
    words = last_words(log).partition("\n")[0]
    return told or UnreachableError(
        launch,
        Trouble.SILENT,
        problem=f"no runner answers within {open_s:g} s",
        found=f"{how_far}{f'; its last words: {words}' if words else ''}",
        remedy=f"{_see(launch)}; `guard: {{open: 5 min}}` in the study file gives a slow device longer",
    )


def here(launch: Launch, why: str, program: str) -> UnreachableError:
    """ssh cannot be started."""
    return UnreachableError(
        launch,
        Trouble.HERE,
        problem=f"{program} cannot be started on this machine",
        found=why,
        remedy="install OpenSSH's client (`apt-get install openssh-client`), and see that it is in PATH",
    )

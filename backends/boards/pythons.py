"""Which Pythons a board has, asked of its shell where the one that its profile names does not run."""

from __future__ import annotations

from ...profiles.errors import UserError
from ...profiles.words import listed, one_line
from ..runner.boot import LEAST_PYTHON
from ..runner.child import Child, ChildEndedError, ChildSilentError
from ..runner.launch import SshLaunch

_ASK_S, _MOST_BYTES = 30.0, 2**16
_WORD = "paretune-python "
_NEWEST = 20
_SCRIPT = f"""
for name in python3 {" ".join(f"python3.{minor}" for minor in range(_NEWEST, LEAST_PYTHON[1] - 1, -1))}
do
    for folder in /usr/bin /usr/local/bin /opt/bin /opt/python/bin "$HOME/.local/bin"
    do
        test -x "$folder/$name" && echo "{_WORD}$folder/$name"
    done
done
exit 0
"""


def no_python(launch: SshLaunch, why: str, is_so: str = "does not run there") -> UserError:
    """The error that a board is reached, and that its profile's Python will not do."""
    least = ".".join(map(str, LEAST_PYTHON))
    there = pythons(launch)
    found = f"; there is {listed(there)}" if there else ""
    remedy = (
        "name one of those in the profile: `reach: {python: ...}`"
        if there
        else f"install Python {least} or later there (`apt-get install python3`), or name it in the profile: "
        "`reach: {python: ...}`"
    )
    return UserError(
        f"{launch.device} is reached, but {launch.python} {is_so}",
        found=one_line(why, 400) + found,
        accepted=f"CPython {least} or later",
        remedy=remedy,
    )


def pythons(launch: SshLaunch) -> tuple[str, ...]:
    """Paths of programs that may be a Python for us; () where the shell cannot be asked."""
    try:
        child = Child(launch.remote("exec /bin/sh -s"), launch.environment())
    except OSError:
        return ()
    said = bytearray()
    try:
        child.writer(_ASK_S)(_SCRIPT.encode())
        read = child.reader(_ASK_S)
        while len(said) < _MOST_BYTES and (block := read(2**12)):
            said += block
    except (ChildEndedError, ChildSilentError):
        pass
    finally:
        child.kill()
    lines = bytes(said).decode(errors="replace").splitlines()
    found = (line.removeprefix(_WORD).strip() for line in lines if line.startswith(_WORD))
    return tuple(dict.fromkeys(one_line(path, 100) for path in found if path != launch.python))

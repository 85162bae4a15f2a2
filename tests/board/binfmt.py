"""The kernel runs arm64 programs by QEMU while a board of ours is up, and forgets it after the last one."""

import contextlib
import fcntl
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/proc/sys/fs/binfmt_misc")
_NAME = "paretune-tests-aarch64"
_RULES = ("/usr/lib/binfmt.d/qemu-aarch64.conf", "/usr/lib/binfmt.d/qemu-aarch64-static.conf")
_MAGIC = "7f454c460201010000000000000000000200b700"


@contextlib.contextmanager
def arm64_programs(folder: Path) -> Iterator[str]:
    """Gives "" while arm64 programs run in any root, else why they cannot.

    Processes that use it at once share it by a lock in the folder; what was there before stays as it was.
    """
    if platform.machine() == "aarch64":
        yield ""
        return
    mounted, change = folder / "binfmt.mounted", folder / "binfmt.change"
    with (folder / "binfmt.users").open("a+") as users:
        with _alone(change):
            why = _mount(mounted) or _register()
            fcntl.flock(users, fcntl.LOCK_SH)  # never waits: it is taken alone under the other lock only
        try:
            yield why
        finally:
            with _alone(change), contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _forget(mounted)
                fcntl.flock(users, fcntl.LOCK_UN)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _mount(mark: Path) -> str:
    if (_MOUNT / "register").exists():
        return ""
    done = subprocess.run(
        ["mount", "-t", "binfmt_misc", "none", _MOUNT], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return f"binfmt_misc cannot be mounted: {done.stderr.strip()}"
    mark.touch()
    return ""


def _register() -> str:
    if any(_runs_arm64(entry) for entry in _MOUNT.iterdir()):
        return ""
    rules = [Path(path) for path in _RULES if Path(path).exists()]
    if not rules:
        return "QEMU's user mode is missing: apt-get install qemu-user-static"
    _, _, rest = rules[0].read_text().strip().removeprefix(":").partition(":")
    try:
        (_MOUNT / "register").write_text(f":{_NAME}:{rest}")
    except OSError as error:
        return f"QEMU cannot be registered in binfmt_misc: {error}"
    return ""


def _runs_arm64(entry: Path) -> bool:
    """With F the interpreter is held open, so that it is found inside a chroot."""
    if entry.name in ("register", "status"):
        return False
    text = entry.read_text()
    flags = next((line for line in text.splitlines() if line.startswith("flags:")), "")
    return text.startswith("enabled") and f"magic {_MAGIC}" in text and "F" in flags


def _forget(mounted: Path) -> None:
    entry = _MOUNT / _NAME
    if entry.exists():
        entry.write_text("-1")
    if mounted.exists():
        subprocess.run(["umount", _MOUNT], check=False, capture_output=True)
        mounted.unlink()

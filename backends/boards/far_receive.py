"""What is sent to a board, received by its own Python: sent there as text, and run by any Python from 3.8 on.

Below the work folder, in `prepared`, lie `parts` (unpacked archives under names that hold their digests),
`sets` (which parts make a runner) and `current`, the name of the set that runners start from. Each of them is
there whole or not at all: what arrives lies in `arriving`, is unpacked aside, and takes its name when it is
whole.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import time
import zipfile
from typing import Any, BinaryIO

BLOCK = 2**18
PULSE_S = 2.0
"""Somebody who waits hears at least as often that this is at work."""
SILENCE_S, TRIAL_S = 300, 1800
"""A line can die without a word: this ends, and its lock with it, when nothing has come for so long; the
longer one is for the time in which the other side tries the runner."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class PreparedFolder:
    """The prepared folder of this board, held by a lock while this runs."""

    def __init__(self, workdir: str, word: str) -> None:
        self.place, self.word, self.spoke = os.path.join(os.path.abspath(workdir), "prepared"), word, 0.0

    def path(self, *names: str) -> str:
        """A path below the prepared folder."""
        return os.path.join(self.place, *names)

    def say(self, **what: Any) -> None:
        """One line to the other side."""
        sys.stdout.buffer.write(("\n" + self.word + json.dumps(what) + "\n").encode())
        sys.stdout.flush()
        self.spoke = time.monotonic()

    def asked(self, seconds: int = SILENCE_S) -> dict[str, Any]:
        """The next line from the other side."""
        signal.alarm(seconds)
        line = sys.stdin.buffer.readline()
        signal.alarm(0)
        if not line.endswith(b"\n"):
            raise EOFError
        return dict(json.loads(line))

    def pulse(self, **what: Any) -> None:
        """As `say`, where nothing has been said for a while."""
        if time.monotonic() - self.spoke > PULSE_S:
            self.say(**what)

    def lock(self, seconds: float) -> BinaryIO:
        """The lock on the folder, waited for; open as long as it is held."""
        for name in ("parts", "sets", "arriving"):
            os.makedirs(self.path(name), exist_ok=True)
        file = open(self.path("lock"), "ab")  # noqa: SIM115 - open as long as it is held
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError("another setup is at work there, and does not end") from None
                self.say(waiting=True)
                time.sleep(1.0)
            except OSError:
                return file  # a disk that knows no locks
            else:
                return file

    def there(self, part: dict[str, Any], *, again: bool) -> dict[str, Any]:
        """How much of a part is there: unpacked, or so many bytes of its archive with their digest."""
        whole = contents_of(self.path("parts", part["name"])) == (part["files"], part["bytes"])
        if whole and not again:
            return {"unpacked": True, "size": 0, "sha256": ""}
        arriving, digest, size = self.path("arriving", part["name"]), hashlib.sha256(), 0
        if os.path.isfile(arriving):
            with open(arriving, "rb") as file:
                for block in iter(lambda: file.read(BLOCK), b""):
                    digest.update(block)
                    size += len(block)
                    self.pulse(reading=part["name"])
        return {"unpacked": False, "size": size, "sha256": digest.hexdigest()}

    def receive(self, part: dict[str, Any], start: int) -> None:
        """The rest of an archive from standard input, after the bytes of it that had arrived before."""
        arriving = self.path("arriving", part["name"])
        with open(arriving, "r+b" if start else "wb") as file:
            file.truncate(start)
            file.seek(start)
            left = part["size"] - start
            while left:
                signal.alarm(SILENCE_S)
                block = sys.stdin.buffer.read(min(left, BLOCK))
                if not block:
                    raise EOFError
                file.write(block)
                left -= len(block)
                self.pulse(receiving=part["name"])
            signal.alarm(0)
            file.flush()
            os.fsync(file.fileno())
        with open(arriving, "rb") as file:
            digest = hashlib.sha256()
            for block in iter(lambda: file.read(BLOCK), b""):
                digest.update(block)
                self.pulse(receiving=part["name"])
        if digest.hexdigest() != part["sha256"]:
            os.unlink(arriving)
            raise ValueError(part["name"] + " did not arrive as it was sent")

    def unpack(self, part: dict[str, Any]) -> None:
        """An archive that is whole becomes a folder, under its name when it is whole as well."""
        arriving, aside = self.path("arriving", part["name"]), self.path("arriving", part["name"] + ".aside")
        unpacked, old = self.path("parts", part["name"]), self.path("arriving", part["name"] + ".old")
        for left in (aside, old):
            shutil.rmtree(left, ignore_errors=True)
        os.mkdir(aside)
        try:
            with zipfile.ZipFile(arriving) as archive:
                for entry in archive.infolist():
                    target = place_of(entry.filename)
                    if not target:
                        continue
                    path = os.path.join(aside, target)
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with archive.open(entry) as packed, open(path, "wb") as file:
                        shutil.copyfileobj(packed, file, BLOCK)
                    self.pulse(unpacking=part["name"])
            if os.path.exists(unpacked):
                os.rename(unpacked, old)
            os.rename(aside, unpacked)
        finally:
            for left in (aside, old):
                shutil.rmtree(left, ignore_errors=True)
        os.unlink(arriving)

    def write(self, text: str, *names: str) -> None:
        """A small file, whole."""
        path = self.path(*names)
        with open(path + ".aside", "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".aside", path)

    def prune(self, ending_s: float) -> None:
        """Remove sets that are not the current one, but for those that a runner holds; then parts of none."""
        current, kept = text_of(self.path("current")).strip(), set()
        for name in os.listdir(self.path("sets")):
            path = self.path("sets", name)
            if name != current + ".json" and is_free(path, ending_s):
                os.unlink(path)
                continue
            try:
                kept |= {part["name"] for part in json.loads(text_of(path))["parts"]}
            except (ValueError, KeyError, TypeError):
                os.unlink(path)
        for name in set(os.listdir(self.path("parts"))) - kept:
            shutil.rmtree(self.path("parts", name), ignore_errors=True)
            self.pulse(removing=name)
        for name in os.listdir(self.path("arriving")):
            remove(self.path("arriving", name))


def place_of(name: str) -> str:
    """Where an entry of a wheel or of another archive belongs; "" where nothing of it is needed."""
    head, _, rest = name.partition("/")
    if head.endswith(".data"):
        kind, _, name = rest.partition("/")
        if kind not in ("purelib", "platlib"):
            return ""
    parts = name.split("/")
    unsafe = not name or name.endswith("/") or "\\" in name or ".." in parts or "" in parts
    return "" if unsafe or "__pycache__" in parts else name


def contents_of(folder: str) -> tuple[int, int]:
    """Files and bytes of a folder, without what Python has compiled there."""
    files = size = 0
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            files += 1
            size += os.lstat(os.path.join(top, name)).st_size
    return files, size


def text_of(path: str) -> str:
    """A small file, "" where it is not there."""
    try:
        with open(path, errors="replace") as file:
            return file.read(2**20)
    except OSError:
        return ""


def is_free(path: str, seconds: float) -> bool:
    """Whether no runner holds this set, or the one that does ends within so many seconds. Where the disk
    knows no locks, one may."""
    until = time.monotonic() + seconds
    while True:
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        except OSError:
            return False
        else:
            return True


def remove(path: str) -> None:
    """A file or a folder."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)


def free_bytes(path: str) -> int:
    """What this user may still write there."""
    return shutil.disk_usage(path).free


def take(board: PreparedFolder, asked: dict[str, Any]) -> None:
    """Say what is there, receive what is sent, and unpack it."""
    found = {part["name"]: board.there(part, again=asked["again"]) for part in asked["parts"]}
    board.say(there=found, current=text_of(board.path("current")), free_bytes=free_bytes(board.place))
    sent = board.asked()["send"]
    for part in asked["parts"]:
        start = sent.get(part["name"])
        if start is not None:
            board.receive(part, start)
            board.say(unpacking=part["name"])
            board.unpack(part)
            board.say(unpacked=part["name"])
    board.say(writing=True)
    os.sync()
    board.write(json.dumps(asked["set"]), "sets", asked["set"]["set"] + ".json")
    board.say(taken=True)


def serve(board: PreparedFolder, asked: dict[str, Any]) -> None:
    """One setup: the parts, then, when the other side has tried them, the switch."""
    with board.lock(asked["patience"]):
        board.say(locked=True)
        take(board, asked)
        board.asked(TRIAL_S)
        board.write(asked["set"]["set"], "current")
        board.prune(asked["ending"])
        board.say(switched=True)


def main() -> None:
    """Serve one setup; what goes wrong is said in the same way."""
    asked = dict(json.loads(sys.stdin.buffer.readline()))
    board = PreparedFolder(asked["workdir"], asked["word"])
    try:
        serve(board, asked)
    except EOFError:
        sys.exit(1)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if getattr(error, "errno", None) in _FULL:
            shutil.rmtree(board.path("arriving"), ignore_errors=True)  # a full disk is not left fuller
        why = getattr(error, "strerror", None) or str(error)
        board.say(failed=why, place=str(getattr(error, "filename", None) or board.place))
        sys.exit(1)


if __name__ == "__main__":
    main()

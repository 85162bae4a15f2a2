"""A board by hand, from the repository's root: `python -m tests.board [--emulated | --bare] [--port N]`.

It runs until Ctrl-C, and takes faults from its terminal: `cut`, `hang [all|line|work]`, `resume`,
`kill_work`, `reboot [SECONDS]`, `down`, `up`, `fill [BYTES LEFT]`, `free`, `new_host_key`, `password`,
`say TEXT`, `set QEMU_CPU=max`. In another terminal, put the folder's `access` first in PATH, and use the
profile:

    PATH=FOLDER/access:$PATH paretune devices check FOLDER/board.yaml
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from .board import Board
from .emulated import EmulatedBoard, why_not
from .native import NativeBoard


def main() -> None:
    """Starts the board, says how to use it, and does what is typed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.board",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="where its files are put (default: a temporary one)"
    )
    parser.add_argument("--emulated", action="store_true", help="arm64 under QEMU, Python alone; needs root")
    parser.add_argument("--bare", action="store_true", help="this machine's Python without any package")
    parser.add_argument("--port", type=int, default=0, help="of loopback (default: a free one)")
    parser.add_argument("--disk", type=int, default=1024, help="its disk in MB (default 1024)")
    asked = parser.parse_args()
    if asked.emulated and (why := why_not()):
        raise SystemExit(why)
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="board."))).resolve()
    rest = {"port": asked.port, "disk_mb": asked.disk}
    made = EmulatedBoard(folder, **rest) if asked.emulated else NativeBoard(folder, bare=asked.bare, **rest)
    with made as board:
        profile = board.write_profile(folder)
        print(f"profile: {profile}\nPATH={board.access.folder}:$PATH\nhome: {board.home}", flush=True)
        print(f"ssh: {board.access.folder}/ssh -p {board.port} 127.0.0.1", flush=True)
        try:
            for line in sys.stdin:
                _befall(board, *line.strip().partition(" ")[::2])
            signal.pause()  # no terminal: until it is told to end
        except KeyboardInterrupt:
            print("down", flush=True)


def _befall(board: Board, fault: str, rest: str) -> None:
    faults = {
        "cut": board.cut,
        "kill_work": board.kill_work,
        "hang": lambda: board.hang(rest or "all"),
        "resume": board.resume,
        "reboot": lambda: board.reboot(float(rest or 1)),
        "down": board.down,
        "up": board.up,
        "fill": lambda: board.fill_disk(int(rest or 0)),
        "free": board.free_disk,
        "new_host_key": board.new_host_key,
        "password": board.ask_for_a_password,
        "say": lambda: board.say_at_login(rest + "\n"),
        "set": lambda: board.set(**dict([rest.split("=", 1)])),
    }
    if fault in faults:
        faults[fault]()
        print(f"{fault}: done", flush=True)
    elif fault:
        print(f"known: {', '.join(faults)}", flush=True)


if __name__ == "__main__":
    main()

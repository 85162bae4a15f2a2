"""A real PostgreSQL server of a test's own; user `study` has a password."""

import os
import shutil
import signal
import socket
import subprocess
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2

PASSWORD = "p@:/?#%41{}"
ENCODED = quote(PASSWORD, safe="")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Where it answers, and ways to stop and start it."""

    def __init__(self, control: list, options: str, root: Path, port: int) -> None:
        self.port, self.place = port, f"127.0.0.1:{port}/postgres"
        self._control, self._options, self._root = control, options, root

    def asked(self, statement: str) -> list:
        """What it answers."""
        address = {"host": "127.0.0.1", "port": self.port, "dbname": "postgres"}
        with closing(psycopg2.connect(**address, user="study", password=PASSWORD)) as base:
            base.autocommit = True
            with base.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        asked = [*self._control, "-o", self._options, "-l", self._root / "log", "start"]
        subprocess.run(asked, check=True, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        """At once, as when its machine goes off."""
        subprocess.run([*self._control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """With all of its processes by `kill -9`, as the system does where memory is short."""
        first = psutil.Process(int((self._root / "data" / "postmaster.pid").read_text().splitlines()[0]))
        family = [first, *first.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, 30)


@contextmanager
def server():
    """A server that is up; it ends with the block."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    assert found or on_path, "PostgreSQL's server is needed: apt-get install postgresql"
    programs = found[-1].parent if found else Path(on_path).parent
    # The server refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    root = Path(
        subprocess.check_output([*user, "mktemp", "-d", "/tmp/paretune-pg.XXXXXX"], text=True).strip()
    )
    port = free_port()
    # What was written outlives its processes without; and after a kill each file would be synced.
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={root} -c fsync=off"
    subprocess.run(
        [*user, programs / "initdb", "--no-sync", "-D", root / "data", *_of_study(user, root)],
        check=True,
        capture_output=True,
    )
    one = Server([*user, programs / "pg_ctl", "-D", root / "data", "-w"], options, root, port)
    one.start()
    try:
        yield one
    finally:
        one.stop()
        shutil.rmtree(root, ignore_errors=True)


def _of_study(user, root):
    """What `initdb` is told of the user: its password is in a file that the server's own user may read."""
    secret = root / "secret"
    subprocess.run([*user, "tee", secret], input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)
    return ["-A", "scram-sha-256", "-U", "study", f"--pwfile={secret}"]

"""The services of examples/cluster/compose.yaml as processes of this machine: the same commands with the same
environment, a real PostgreSQL and an S3 server. What it cannot show is that containers start.

    python -m benchmarks.cluster.as_processes [--tls] [--study examples/cluster/digits.yaml]

`--tls` has the engine's processes speak TLS to one another, with certificates made on the spot.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))

from postgresql import PASSWORD, free_port, server  # noqa: E402
from s3_server import s3_server  # noqa: E402

COMPOSE = ROOT / "examples" / "cluster" / "compose.yaml"
PROGRAMS = Path(sys.executable).parent


class Services:
    """What the file says of each service, with this machine's addresses in the place of the names there."""

    def __init__(self, folder: Path, places: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        self._services = yaml.safe_load(COMPOSE.read_text())["services"]
        self._folder, self._places, self._secrets = folder, places, secrets

    def command(self, name: str) -> list[str]:
        """What is started."""
        found = [self._here(part) for part in self._services[name]["command"]]
        return [str(PROGRAMS / found[0]), *found[1:]]

    def environment(self, name: str) -> dict[str, str]:
        """With nothing of this process that the file does not give."""
        bare = {
            key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PG", "DASK_"))
        }
        told = {key: self._here(str(value)) for key, value in self._services[name]["environment"].items()}
        return {**bare, **told}

    def _here(self, text: str) -> str:
        filled = re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", self._filled, text)
        for there, here in self._places.items():
            filled = filled.replace(there, here)
        return filled

    def _filled(self, found: re.Match[str]) -> str:
        return self._secrets.get(found[1], found[2] or "")


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A service that ends with the block."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, env=dict(environment), stdout=file, stderr=file, cwd=log.parent, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def certificates(folder: Path) -> dict[str, str]:
    """A certificate authority of one's own and one certificate for all; the settings that name them."""
    asked = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=paretune",
    ]
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [*asked, *names, "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL
    )
    tls = {"DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME": "tls"}
    tls |= {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
    tls |= {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(certificate)}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        tls[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(certificate)
        tls[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(key)
    return tls


def laid_out(study: Path, folder: Path, places: Mapping[str, str]) -> Path:
    """A copy of the study's folder, as it is mounted, with this machine's addresses in the study file."""
    above = study.parent.parent
    shutil.copytree(
        above, folder / "study", ignore=shutil.ignore_patterns("runs", ".paretune", "__pycache__")
    )
    copy = folder / "study" / study.relative_to(above)
    text = copy.read_text()
    for there, here in places.items():
        text = text.replace(there, here)
    copy.write_text(text)
    return copy


def main() -> int:
    """Run the study to its end; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=COMPOSE.with_name("digits.yaml"))
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # services end with it all the same
    folder = Path(tempfile.mkdtemp(prefix="paretune-cluster-"))
    lease = folder / "lease"
    lease.mkdir()
    lease.chmod(0o1777)
    scheme, port = ("tls" if given.tls else "tcp"), free_port()
    tls = certificates(folder) if given.tls else {}
    with ExitStack() as stack:
        database, objects = stack.enter_context(server()), stack.enter_context(s3_server(folder))
        address = f"{scheme}://127.0.0.1:{port}"
        places = {
            "@database/studies": f"@{database.place}",
            "tcp://scheduler:8786": address,
            "tcp://127.0.0.1:8786": address,  # the driver is in the scheduler's network
            "http://objects:9000": objects.environment["AWS_ENDPOINT_URL"],
            "0.0.0.0": "127.0.0.1",
            "8786": str(port),
            "/lease": str(lease),
        }
        study = laid_out(given.study.resolve(), folder, places)
        secrets = {
            "DATABASE_PASSWORD": PASSWORD,
            "OBJECTS_USER": "tester",
            "OBJECTS_PASSWORD": "testers-secret",
        }
        services = Services(folder, places, {**secrets, "STUDY": str(study)})
        subprocess.run(services.command("bucket"), env=services.environment("bucket"), check=True)
        started = time.monotonic()
        for name in ("scheduler", "worker", "worker"):
            number = len(list(folder.glob(f"{name}*.log")))
            # Two machines have a cache of their own each.
            own = {**services.environment(name), **tls, "XDG_CACHE_HOME": str(folder / f"cache{number}")}
            stack.enter_context(running(services.command(name), own, folder / f"{name}{number}.log"))
        told = {
            **services.environment("driver"),
            **tls,
            "XDG_CACHE_HOME": str(folder / "cache of the driver"),
        }
        ended = subprocess.run(services.command("driver"), env=told, check=False)
        print(f"exit code {ended.returncode} after {time.monotonic() - started:.0f} s; all of it: {folder}")
        _check_secrets(folder)
    return ended.returncode


def _check_secrets(folder: Path) -> None:
    """The database's password is in no file that was left."""
    held: list[Any] = [path for path in folder.rglob("*") if path.is_file() and PASSWORD in _text(path)]
    print("files with the database's password:", held or "none")


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


if __name__ == "__main__":
    raise SystemExit(main())

"""An arm64 root with Python and nothing else, unpacked from the packages that this machine's apt knows.

Nothing in it is configured and nothing of it runs while it is made. It is kept in the user's cache under the
digest of its recipe, and never written to afterwards.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_PACKAGES = (
    "python3-minimal",
    "libpython3-stdlib",
    "libstdc++6",
    "libgomp1",
    "dash",
    "coreutils",
    "findutils",
    "grep",
    "gzip",
)
_MOUNT_POINTS = ("dev", "proc", "root", "run", "sys", "tmp", "var/tmp", "etc", "usr/local/bin")


def cache_folder() -> Path:
    """Where roots are kept between runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "paretune-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def arm64_root() -> Path:
    """The root's folder. It is made where it is missing: about 10 s, of that 20 MB over the network."""
    release = Path("/etc/os-release").read_text()
    recipe = "\n".join((*_PACKAGES, release, Path(__file__).read_text()))
    root = cache_folder() / f"arm64-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            aside = root.with_suffix(".part")
            shutil.rmtree(aside, ignore_errors=True)
            _unpack(_fetch(aside / "apt"), aside / "root")
            _settle(aside / "root")
            (aside / "root").rename(root)
            shutil.rmtree(aside)
    return root


def _fetch(state: Path) -> Path:
    """The folder of the packages and all that they need, by apt with this machine's sources and no state."""
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    options = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": "root",
        "APT::Keep-Downloaded-Packages": "1",
        "Debug::NoLocking": "1",
    }
    apt = ["apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    for step in (["update"], ["install", "--yes", "--download-only", *_PACKAGES]):
        done = subprocess.run([*apt, *step], capture_output=True, text=True, check=False)
        assert not done.returncode, f"apt-get {step[0]} for arm64 failed: {done.stderr}"
    return state / "cache" / "archives"


def _unpack(packages: Path, root: Path) -> None:
    for name in ("bin", "lib", "sbin"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in sorted(packages.glob("*.deb")):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as opened:
            unpack = ["tar", "--extract", "--directory", root, "--keep-directory-symlink"]
            subprocess.run(unpack, stdin=opened.stdout, check=True)
        assert not opened.returncode, f"{package.name} is damaged"
    for name in ("doc", "man", "locale", "info"):
        shutil.rmtree(root / "usr" / "share" / name, ignore_errors=True)


def _settle(root: Path) -> None:
    """What the packages' scripts would have made, and the standard library's byte code.

    Without byte code each start of Python costs seconds under emulation. An interpreter of the same minor
    version makes it here; where this machine has none, the emulated one does.
    """
    for name in _MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    shutil.copy("/etc/os-release", root / "etc/os-release")
    if not (root / "bin/sh").exists():
        (root / "bin/sh").symlink_to("dash")
    (library,) = (root / "usr/lib").glob("python3.*")
    program = Path("/usr/bin") / library.name
    python = [program] if program.exists() else ["chroot", root, f"/usr/bin/{library.name}"]
    where = ["-s", root, "-p", "/", library] if program.exists() else [f"/usr/lib/{library.name}"]
    compiled = [*python, "-m", "compileall", "-q", "-x", "test|idlelib|lib2to3", *where]
    subprocess.run(compiled, check=True, stdout=subprocess.DEVNULL)

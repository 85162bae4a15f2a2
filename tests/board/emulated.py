"""A board of another architecture: arm64 under QEMU's user mode, Python 3 and sshd alone.

Its sessions see a read-only root with a writable home, /tmp, /var/tmp, /run and /dev/shm, a made-up
/proc/cpuinfo, and their own processes. Its latency says nothing about a device.
"""

import contextlib
import os
import shutil
from pathlib import Path

from .access import Access
from .arm64_root import arm64_root, cache_folder
from .binfmt import arm64_programs
from .board import ROOT, Board, exports

_FEATURES = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
)
MODEL = "Paretune Emulated Board Rev 1.0"


def cpuinfo(features: str = _FEATURES, part: str = "0xd0b") -> str:
    """/proc/cpuinfo as Linux writes it on arm64; by default a Cortex-A76."""
    one = (
        f"BogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: 0x4\nCPU part\t: {part}\nCPU revision\t: 1\n\n"
    )
    return "".join(f"processor\t: {core}\n{one}" for core in range(os.cpu_count() or 1))


class EmulatedBoard(Board):
    """`set(QEMU_CPU=...)` gives it another processor, `show_cpuinfo` what it says of itself."""

    architecture = "aarch64"
    instruction_sets = ("neon", "asimdhp", "asimddp")

    def __init__(self, folder: Path, access: Access | None = None, **rest) -> None:
        super().__init__(folder, access, **rest)
        self.root = arm64_root()
        self._seen = folder / "root"
        self._seen.mkdir(exist_ok=True)
        self.show_cpuinfo(cpuinfo())
        self._binfmt = contextlib.ExitStack()
        self.variables = {
            "HOME": "/root",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "QEMU_CPU": "cortex-a76",
        }

    def __enter__(self) -> "EmulatedBoard":
        with contextlib.ExitStack() as until_it_is_up:
            why = until_it_is_up.enter_context(arm64_programs(cache_folder()))
            assert not why, why
            super().__enter__()
            self._binfmt = until_it_is_up.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._binfmt.close()

    def show_cpuinfo(self, text: str) -> None:
        """What /proc/cpuinfo holds there, at once."""
        (self.folder / "cpuinfo").write_text(text)

    def mounts(self) -> str:
        disk, seen = self._disk, self._seen
        writable = {"home": "root", "tmp": "tmp", "var": "var/tmp", "run": "run", "shm": "dev/shm"}
        return "\n".join(
            (
                "set -e",
                f"mkdir -p {disk}/var {disk}/shm && chmod 1777 {disk}/tmp {disk}/var {disk}/shm",
                f"mount --bind {self.root} {seen} && mount -o remount,bind,ro {seen}",
                f"mount --rbind /dev {seen}/dev",
                f"mount -t sysfs -o ro sysfs {seen}/sys",
                f"mount -t tmpfs firmware {seen}/sys/firmware",
                f"mkdir -p {seen}/sys/firmware/devicetree/base",
                f"printf '{MODEL}\\0' > {seen}/sys/firmware/devicetree/base/model",
                *(f"mount --bind {disk}/{here} {seen}/{there}" for here, there in writable.items()),
                "set +e",
            )
        )

    def boot_mounts(self) -> str:
        proc = f"{self._seen}/proc"
        return (
            f"mount -t proc proc {proc} && mount --bind {self.folder}/cpuinfo {proc}/cpuinfo\n"
            f"mount --bind {self.folder}/boot_id {proc}/sys/kernel/random/boot_id"
        )

    def session(self) -> str:
        chroot = shutil.which("chroot") or "/usr/sbin/chroot"
        return (
            f"exec env -i {exports(self.variables)} {chroot} {self._seen} /bin/sh -c "
            '"cd; ${SSH_ORIGINAL_COMMAND:-exec /bin/sh -i}"'
        )


def why_not() -> str:
    """Why this machine can have no such board; empty: it can."""
    if not ROOT:
        return "an emulated board needs root: binfmt_misc is mounted and roots are changed"
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return "an emulated board is unpacked from Debian's packages: apt-get and dpkg-deb are missing"
    with arm64_programs(cache_folder()) as why:
        return why

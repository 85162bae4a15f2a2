"""Whether a worker is fit for a study: the same versions, the same file and data, and one store."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

from ...backends.registry import get_backend
from ...profiles.packages import versions
from ..job.job import Job
from ..record.digest import digest_of
from ..store.store import Store, content_key

STAGE = "session"
"""Of the entry by which a worker sees that it has the driver's store before it."""
_TRAINING = ("torch", "torch-pruning", "onnx", "onnxscript", "optuna")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SHOWN = 12
"""Characters of a digest."""


def facts_of(job: Job) -> dict[str, str]:
    """What has to be the same wherever a candidate of the job is evaluated, by what it is called."""
    runtimes = [name for one in job.space.backends for name in get_backend(one.name).packages]
    installed = versions(("paretune", "numpy", *_TRAINING, *runtimes))
    major, minor, _ = platform.python_version_tuple()
    parts = {name: digest_of(value)[:_SHOWN] for name, value in job.problem().items()}
    return {
        "python": f"{major}.{minor}",
        **{f"package {name}": version for name, version in sorted(installed.items())},
        **{f"study's {name}": digest for name, digest in sorted(parts.items())},
        # `host` is another device on each machine.
        **({"machine": _machine()} if job.profile.reach.kind == "local" else {}),
    }


def _machine() -> str:
    """What tells machines apart, and is the same in all containers of one."""
    try:
        return digest_of(_BOOT.read_text().strip())[:_SHOWN]
    except OSError:
        return platform.node()


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """Each fact in which a worker differs, in words; what it has beside is of no matter."""
    return tuple(
        f"{name}: {found.get(name, 'none')} there, {wanted} expected"
        for name, wanted in expected.items()
        if found.get(name) != wanted
    )


def leave_witness(store: Store, session: str) -> str:
    """Put an entry into a store that tells it from all others; its key."""
    key = content_key(STAGE, 1, {"session": session})

    def make(into: Path) -> Mapping[str, str]:
        return {"session": session}

    store.produce(STAGE, key, {}, make)
    return key

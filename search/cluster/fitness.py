"""Whether a worker is fit for a study: the same versions, the same file and data, and one store."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...backends.registry import get_backend
from ...profiles.packages import differing, versions
from ..job.job import Job
from ..record.digest import digest_of
from ..store.store import Store, content_key

STAGE = "session"
"""Of the entry by which a worker sees that it has the driver's store before it."""
_TRAINING = ("torch", "torch-pruning", "onnx", "onnxscript", "optuna")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SHOWN = 12
"""Characters of a digest."""
_loaded = versions(("paretune", "numpy", *_TRAINING))
"""The packages that this process runs with, whatever is installed in their places later."""


def facts_of(job: Job) -> dict[str, str]:
    """What has to be the same wherever a candidate of the job is evaluated, by what it is called."""
    runtimes = [name for one in job.space.backends for name in get_backend(one.name).packages]
    installed = versions((*_loaded, *_TRAINING, *runtimes))
    _loaded.update({name: version for name, version in installed.items() if name not in _loaded})
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


def upgraded() -> tuple[str, ...]:
    """Each package whose version is another one by now than this process runs with, in words."""
    found = differing(_loaded, versions(_loaded))
    return tuple(
        f"package {name}: {now} was installed while the worker ran with {loaded}: restart it"
        for name, (loaded, now) in found.items()
    )


@contextmanager
def witness(store: Store, session: str) -> Iterator[str]:
    """Have an entry in a store that tells it from all others, and from copies of it; its key."""
    key = content_key(STAGE, 1, {"session": session})
    with store.presence(STAGE, key):
        yield key

"""Where artifacts are opened again: an environment of this machine, or a device, and what it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ...backends.contract.backend import Array, Availability
from ...backends.contract.options import USUAL, Options
from ...backends.registry import get_backend
from ...backends.runner.client import Guard, Pinned, RunnerClient
from ...backends.runner.launch import Launch, LocalLaunch
from ...backends.runner.leased import DeviceLease, LeasedClient
from ...profiles.errors import StageError, UserError
from ...profiles.words import joined
from .interpreter import Interpreter
from .kept import KeptArtifact


@dataclass(frozen=True, kw_only=True)
class RuntimePlace:
    """How runners are started there, what messages call it, and what it has: versions of packages, and of
    each backend that was asked for whether it can be used."""

    title: str
    launch: Launch
    packages: Mapping[str, str] = field(default_factory=dict)
    available: Mapping[str, Availability] = field(default_factory=dict)
    pip: str = ""

    def versions(self, backend: str) -> dict[str, str]:
        """Of the backend's runtime, by the package."""
        names = get_backend(backend).packages
        found = {name: self.packages[name] for name in names if name in self.packages}
        version = self.available[backend].version if backend in self.available else ""
        return found or ({names[0]: version} if names and version else {})

    def runtime(self, backend: str) -> str:
        """ "onnxruntime 1.20.1"."""
        return (
            joined(tuple(f"{name} {version}" for name, version in self.versions(backend).items())) or backend
        )

    def lacks(self, backend: str) -> str:
        """Why the backend cannot be used there; empty where it can."""
        found = self.available.get(backend)
        return "" if found is None or found.installed else found.reason or "it is not installed"


def asked(title: str, launch: Launch, backends: Iterable[str], guard: Guard, pip: str = "") -> RuntimePlace:
    """A place, asked for its versions and for the backends that are wanted there.

    Raises:
        UserError: no runner starts there, or it cannot be reached.
    """
    try:
        with RunnerClient(launch, guard=guard) as runner:
            packages = runner.hello().environment.get("packages") or {}
        found = {name: _available(launch, name, guard) for name in dict.fromkeys(backends)}
    except StageError as error:
        raise UserError(
            "no runner starts there",
            place=title,
            found=error.cause,
            accepted="a Python with numpy and the runtime, which loads both",
            remedy=f"see that `{pip.partition(' -m ')[0] or 'python'} -c 'import numpy'` works there",
        ) from error
    return RuntimePlace(title=title, launch=launch, packages=dict(packages), available=found, pip=pip)


def _available(launch: Launch, backend: str, guard: Guard) -> Availability:
    """In a process of its own: a runtime that crashes when it is loaded takes no other one with it."""
    try:
        with RunnerClient(launch, guard=guard) as runner:
            return runner.available(backend)
    except StageError as error:
        return Availability(installed=False, reason=f"it does not load: {error.cause}")


def environment(found: Interpreter, backends: Iterable[str], guard: Guard) -> RuntimePlace:
    """Another environment of this machine; at least one of the backends has to run there.

    Raises:
        UserError: none does.
    """
    wanted = tuple(dict.fromkeys(backends))
    place = asked(found.called, found.launch(), wanted, guard, found.pip)
    lacking = [name for name in wanted if place.lacks(name)]
    if len(lacking) == len(wanted):
        packages = " ".join(dict.fromkeys(map(_package, lacking)))
        raise UserError(
            "this environment has no runtime that an artifact needs",
            place=f"--python {found.called}",
            found="; ".join(f"{name}: {place.lacks(name)}" for name in lacking),
            accepted=" or ".join(dict.fromkeys(map(_package, wanted))),
            remedy=f"{found.pip} {packages}; `PACKAGE==VERSION` chooses the version",
        )
    return place


def _package(backend: str) -> str:
    known = get_backend(backend)
    return next(iter((*known.on_device, *known.packages)), backend)


def this_environment(backends: Iterable[str], guard: Guard) -> RuntimePlace:
    """The one that this process runs in."""
    return asked("this environment", LocalLaunch(), backends, guard)


@dataclass(frozen=True, kw_only=True)
class Openings:
    """Opens artifacts in runners of a device, under its lease."""

    lease: DeviceLease
    guard: Guard
    pinned: Pinned = True

    @contextmanager
    def opened(
        self, place: RuntimePlace, artifact: KeptArtifact, options: Options = USUAL
    ) -> Iterator[tuple[RunnerClient, float]]:
        """A runner that has the artifact open, told `options` beside those it is deployed with, and the
        milliseconds that loading took.

        Raises:
            StageError, UnsupportedError: it does not open there.
        """
        client = LeasedClient(self.lease, guard=self.guard, pinned=self.pinned, launch=place.launch)
        told = {**dict(artifact.setting.options), **options}
        with client as runner:
            how = artifact.setting
            found = runner.open(artifact.backend, artifact.file, how.batch, how.threads, told)
            yield runner, found.load_ms

    def outputs(
        self,
        place: RuntimePlace,
        artifact: KeptArtifact,
        inputs: Mapping[str, Array],
        options: Options = USUAL,
    ) -> dict[str, Array]:
        """What the artifact gives there for all samples.

        Raises:
            StageError, UnsupportedError: it does not open or run there.
        """
        with self.lease.held_elsewhere(), self.opened(place, artifact, options) as (runner, _):
            return runner.infer(inputs)

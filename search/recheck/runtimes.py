"""Where artifacts are opened again: an environment of this machine, or a device, and what it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        found = tuple(f"{name} {version}" for name, version in self.versions(backend).items())
        return joined(found) or get_backend(backend).title or backend

    def lacks(self, backend: str) -> str:
        """Why the backend cannot be used there; empty where it can."""
        found = self.available.get(backend)
        return "" if found is None or found.installed else found.reason or "it is not installed"


def asked(title: str, launch: Launch, backends: Iterable[str], guard: Guard, pip: str = "") -> RuntimePlace:
    """A place, asked for its versions and for the backends that are wanted there.

    Raises:
        UserError: no runner starts there, or it cannot be reached.
    """
    packages: Mapping[str, str] = {}
    found: dict[str, Availability] = {}
    try:
        for name in dict.fromkeys(backends):
            # In a process of its own: a runtime that crashes when it is loaded takes no other one with it.
            with RunnerClient(launch, guard=guard) as runner:
                packages = packages or runner.hello().environment.get("packages") or {}
                found[name] = _available(runner, name)
    except StageError as error:
        raise UserError(
            "no runner starts there",
            place=title,
            found=error.cause,
            accepted="a Python with numpy and the runtime, which loads both",
            remedy=f"see that `{pip.partition(' -m ')[0] or 'python'} -c 'import numpy'` works there",
        ) from error
    return RuntimePlace(title=title, launch=launch, packages=dict(packages), available=found, pip=pip)


def _available(runner: RunnerClient, backend: str) -> Availability:
    try:
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

    def client(self, place: RuntimePlace) -> RunnerClient:
        """A runner of that place; the caller closes it. The lease of another device means nothing here."""
        if place.launch.shares_files and not self.lease.launch.shares_files:
            return RunnerClient(place.launch, guard=self.guard)
        return LeasedClient(self.lease, guard=self.guard, pinned=self.pinned, launch=place.launch)

    def open(self, runner: RunnerClient, artifact: KeptArtifact, options: Options = USUAL) -> float:
        """Open the artifact, told `options` beside those it is deployed with; milliseconds that took.

        Raises:
            StageError, UnsupportedError: it does not open there.
        """
        how, told = artifact.setting, {**dict(artifact.setting.options), **options}
        return runner.open(artifact.backend, artifact.file, how.batch, how.threads, told).load_ms


class Answers:
    """What one artifact answers in one place, opened in ways that differ by options. One runner serves for
    all of them, as long as it lives."""

    def __init__(self, openings: Openings, place: RuntimePlace, artifact: KeptArtifact) -> None:
        self.place, self._openings, self._artifact = place, openings, artifact
        self._runner: RunnerClient | None = None

    def outputs(self, inputs: Mapping[str, Array], options: Options = USUAL) -> dict[str, Array]:
        """Its outputs for all samples, told `options` beside those it is deployed with.

        Raises:
            StageError, UnsupportedError: it does not open or run there.
        """
        with self._openings.lease.held_elsewhere():
            if self._runner is None or self._runner.ended:
                self.close()
                self._runner = self._openings.client(self.place)
            self._openings.open(self._runner, self._artifact, options)
            return self._runner.infer(inputs)

    def close(self) -> None:
        """End the runner."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

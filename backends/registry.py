"""Backends by name: the one place that knows them all.

Modules are imported on demand, and none of them imports its runtime, so that listing them loads none.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..profiles.errors import UnsupportedError, UserError
from ..profiles.files import head_of
from ..profiles.guard.user_code import user_code
from ..profiles.packages import versions
from ..profiles.precision import Precision
from .contract.backend import Availability, Backend
from .contract.foreign import Foreign

if TYPE_CHECKING:
    from importlib import metadata

    from ..profiles.devices.host import Probe
    from ..profiles.devices.schema import Profile
    from .contract.given import GivenFile
    from .contract.rules import Offer

# name -> "module:class", relative to this package. Adding a backend is one folder and one line here.
_BACKENDS = {
    "ort": "ort.backend:OrtBackend",
    "tflite": "tflite.backend:TfliteBackend",
    "trt": "trt.backend:TrtBackend",
    "openvino": "openvino.backend:OpenVinoBackend",
    "tvm": "tvm.backend:TvmBackend",
}
_ONNX = b"\x08"  # the version of its format, which is the first field of each
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}")
GROUP = "paretune.backends"  # the entry point group in which other packages name their backends


def backend_names() -> tuple[str, ...]:
    """Names of all backends that users can ask for, ours first.

    Raises:
        UserError: an installed package names a backend as another one does.
    """
    return (*_BACKENDS, *plugins())


@cache
def plugins() -> Mapping[str, metadata.EntryPoint]:
    """Backends that installed packages bring along, sorted by name; none of them is imported.

    Raises:
        UserError: two packages bring one of the same name, or one is called like ours.
    """
    found: dict[str, metadata.EntryPoint] = {}
    for entry in _entry_points():
        if not _NAME.fullmatch(entry.name):
            raise UserError(
                f"the package {_package(entry)} brings a backend whose name cannot be written",
                found=repr(entry.name),
                accepted=f"names that match {_NAME.pattern}",
                remedy=f"mend the package, or pip uninstall {_package(entry)}",
            )
        if entry.name in _BACKENDS or entry.name in found:
            other = _package(found[entry.name]) if entry.name in found else "paretune"
            raise UserError(
                f"two packages bring a backend {entry.name!r}",
                found=f"{other} and {_package(entry)}",
                remedy=f"uninstall one of them: pip uninstall {_package(entry)}",
            )
        found[entry.name] = entry
    return dict(sorted(found.items()))


def _entry_points() -> Iterable[metadata.EntryPoint]:
    """Those of our group; a package whose files are damaged has none, and hides no other's."""
    from importlib import metadata  # runners of our own backends start without it

    try:
        return metadata.entry_points(group=GROUP)
    except Exception:  # whatever reading one of them raises
        return [entry for dist in metadata.distributions() for entry in _entry_points_of(dist)]


def _entry_points_of(dist: metadata.Distribution) -> Iterable[metadata.EntryPoint]:
    with suppress(Exception):
        return dist.entry_points.select(group=GROUP)
    return ()


def _package(entry: metadata.EntryPoint) -> str:
    """Its distribution's name, which one whose files are damaged has not."""
    with suppress(Exception):  # importlib_metadata, where that is loaded, raises an error of its own
        return str((entry.dist and entry.dist.name) or entry.value)
    return str(entry.value)


def get_backend(name: str) -> Backend:
    """The backend of that name; "module:Class" imports one that no package names.

    Raises:
        UserError: there is no such backend, or it cannot be loaded.
    """
    if name in _BACKENDS:
        module, _, cls = _BACKENDS[name].partition(":")
        made = getattr(import_module(f".{module}", __package__), cls)()
        assert isinstance(made, Backend)
        return made
    if ":" in name:
        module, _, cls = name.partition(":")
        return _foreign(f"backend {name!r}", name, lambda: getattr(import_module(module), cls))
    if name in plugins():
        entry = plugins()[name]
        called = f"backend {name!r} of the package {_package(entry)}"
        return _foreign(called, entry.value, entry.load)
    raise UserError(
        f"unknown backend {name!r}", accepted=", ".join(backend_names()) + ", or module:Class of your own"
    )


_loaded: dict[tuple[str, str], tuple[object, Foreign]] = {}  # with the module of each


def _foreign(called: str, value: str, load: Callable[[], Any]) -> Foreign:
    """A backend that is not ours; once it is loaded, it stays as long as its module does.

    Raises:
        UserError: it cannot be loaded, or is none.
    """
    module, known = _loaded.get((called, value), (None, None))
    if known is not None and sys.modules.get(known.theirs.__module__) is module:
        return known
    with user_code(f"loading {called}"):
        cls = load()
    with user_code(f"making {called}", function=cls):
        made = cls()
    if not isinstance(made, Backend):
        accepted = "a subclass of paretune.backends.contract.Backend"
        raise UserError(f"{called} is not a backend", found=type(made).__name__, accepted=accepted)
    foreign = Foreign(made, called)
    _loaded[called, value] = sys.modules.get(foreign.theirs.__module__), foreign
    return foreign


def availability(name: str) -> Availability:
    """Whether a backend can be used here; one that cannot be loaded cannot, and says why."""
    try:
        return get_backend(name).availability()
    except UserError as error:
        return Availability(installed=False, reason=error.problem, install=error.remedy)


def backend_version(name: str, precision: Precision | None = None) -> str:
    """What stands for the backend in content keys: the versions of its runtime and of what else shapes its
    artifacts, and its recipe for the precision where that has changed; for one that is not ours also the
    digest of its module, because its author changes it without giving it another version."""
    backend = get_backend(name)
    shaped_by = (f"{tool} {version}" for tool, version in versions(backend.shaped_by).items())
    version = " ".join([backend.availability().version, *shaped_by])
    if precision is not None and precision in backend.recipes:
        version += f" {precision} recipe {backend.recipes[precision]}"
    if not isinstance(backend, Foreign):
        return version
    if ":" not in name:
        dist = plugins()[name].dist
        version += f" {dist.version}" if dist is not None else ""
    return f"{version} {_digest(backend.theirs.__module__)}"


def _digest(module: object) -> str:
    """Of the source of a module; "" where that is no file."""
    file = getattr(sys.modules.get(str(module)), "__file__", None)
    with suppress(OSError, TypeError, ValueError):
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""
    return ""


def packages() -> tuple[str, ...]:
    """Distributions whose versions change what a measurement means: runtimes, and packages with backends."""
    brought = (_package(entry) for entry in plugins().values())
    return tuple(dict.fromkeys([*(name for _, one in _named() for name in one.packages), *brought]))


def taker_of(path: Path) -> str | None:
    """The backend in whose own format a user's model file is: by what stands in it, else by the end of its
    name, which is all that is left of a damaged one. None: ONNX if anything. UserError: it cannot be read."""
    head = head_of(path)
    own = [(name, one) for name, one in _named() if one.magic[1]]
    by_content = (name for name, one in own if head[one.magic[0] :].startswith(one.magic[1]))
    by_name = (name for name, one in own if path.suffix == f".{one.source_format}")
    return next(by_content, None) or (None if head.startswith(_ONNX) else next(by_name, None))


def given_to(taker: str, path: Path) -> GivenFile:
    """What a backend says of a user's file in its own format.

    Raises:
        UserError: it cannot be read, or has what no workload can have.
    """
    try:
        return get_backend(taker).given(path)
    except UnsupportedError as error:
        raise UserError(
            "the model cannot be used",
            place=str(path),
            found=error.reason,
            remedy="convert it again, or copy it again where it was cut off",
        ) from error


def _named(names: Iterable[str] | None = None) -> Iterator[tuple[str, Backend]]:
    """Backends that can be loaded; what is wrong with another one is told to whoever asks for it."""
    for name in backend_names() if names is None else names:
        with suppress(UserError):
            yield name, get_backend(name)


def probes(names: Iterable[str] | None = None) -> tuple[Probe, ...]:
    """What measures the machine at hand by installed runtimes (those named, or all): their `probe.py`."""
    from ..profiles.devices.host import Probe

    found = [(one.packages, one.beside("probe.py")) for _, one in _named(names)]
    return tuple(Probe(program=path, packages=packages) for packages, path in found if path is not None)


def offers(name: str, profile: Profile) -> tuple[Offer, ...]:
    """What a backend offers on a device: one offer per precision, in the notation's order, then "2:4".

    Where the backend cannot run on the device at all, there is a single one, for "all", with the reason.

    Raises:
        UserError: there is no such backend, or it does not say what it offers.
    """
    from .contract.rules import offers_by, offers_of, read_rules

    backend = get_backend(name)
    title = backend.title or name
    able, rules = backend.precisions(profile), backend.beside("rules.yaml")
    if able is not None:
        return _as_tuned(backend, offers_of(able, name, title, profile))
    if rules is None:
        raise UserError(
            f"backend {name!r} does not say what it offers",
            accepted="a rules.yaml beside its module, or a method `precisions`",
        )
    return _as_tuned(backend, offers_by(read_rules(rules), name, title, profile))


def _as_tuned(backend: Backend, found: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """The offers of a backend that has to be tuned say so."""
    if not backend.tunable:
        return found
    told = "slow until it is tuned: `tuning` in the study file says for how long it may be"
    return tuple(
        replace(offer, reason="; ".join(filter(None, (offer.reason, told)))) if offer.offered else offer
        for offer in found
    )


def offered_precisions(name: str, profile: Profile) -> tuple[Precision, ...]:
    """The precisions that the backend offers on the device, in the notation's order; () where it cannot run.

    Raises:
        UserError: see `offers`.
    """
    whats = {offer.what for offer in offers(name, profile) if offer.offered}
    return tuple(precision for precision in Precision if str(precision) in whats)


def nm_sparsity_offered(name: str, profile: Profile) -> Offer:
    """The offer for 2:4 sparsity; refused with the device's reason where the backend cannot run at all.

    Raises:
        UserError: see `offers`.
    """
    return replace(offers(name, profile)[-1], what="2:4")


def value_dependent(name: str, profile: Profile) -> Mapping[str, str]:
    """Kinds of sparsity whose latency on the device may depend on the values of weights, with the reasons.

    For them, what was measured with untrained weights need not hold for trained ones.

    Raises:
        UserError: there is no such backend, or it cannot be loaded.
    """
    from .contract.rules import read_rules, value_dependent_by

    rules = (backend := get_backend(name)).beside("rules.yaml")
    here = value_dependent_by(read_rules(rules), profile) if rules is not None else {}
    return {**here, **backend.value_dependent}

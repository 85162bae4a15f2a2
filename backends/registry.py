"""Backends by name. Modules are imported on demand, so that listing them loads no runtime."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

from ..profiles.errors import UserError
from .contract.backend import Backend

# name -> "module:class", relative to this package. Adding a backend is one module and one line here.
_BACKENDS = {
    "ort": "ort.backend:OrtBackend",
    "tflite": "tflite.backend:TfliteBackend",
    "trt": "trt.backend:TrtBackend",
    "null": "null.backend:NullBackend",
}


def backend_names() -> tuple[str, ...]:
    """Names of all backends that users can ask for (`null` is for tests and is left out)."""
    return tuple(name for name in _BACKENDS if name != "null")


def get_backend(name: str) -> Backend:
    """The backend of that name; "module:Class" imports a backend that is not part of Paretune.

    Raises:
        UserError: there is no such backend.
    """
    if ":" in name:
        return _imported(name)
    if name not in _BACKENDS:
        raise UserError(
            f"unknown backend {name!r}", accepted=", ".join(backend_names()) + ", or module:Class of your own"
        )
    module, _, cls = _BACKENDS[name].partition(":")
    backend = getattr(import_module(f".{module}", __package__), cls)()
    assert isinstance(backend, Backend)
    return backend


def backend_version(name: str) -> str:
    """What stands for the backend in content keys: its runtime's version; for one of the user's own also the
    digest of its module, because its author changes it without giving it another version."""
    version = get_backend(name).availability().version
    if ":" not in name:
        return version
    source = Path(import_module(name.partition(":")[0]).__file__ or "")
    return f"{version} {hashlib.sha256(source.read_bytes()).hexdigest()[:16] if source.is_file() else ''}"


def _imported(name: str) -> Backend:
    module, _, cls = name.partition(":")
    try:
        backend = getattr(import_module(module), cls)()
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(
            f"backend {name!r} cannot be loaded",
            found=str(error),
            accepted="module:Class, where the module can be imported and the class needs no arguments",
        ) from error
    if not isinstance(backend, Backend):
        raise UserError(
            f"backend {name!r} is not a backend",
            found=type(backend).__name__,
            accepted="a subclass of paretune.backends.contract.Backend",
        )
    return backend

"""Backends by name. Modules are imported on demand, so that listing them loads no runtime."""

from __future__ import annotations

from importlib import import_module

from ..profiles.errors import UserError
from .contract import Backend

# name -> "module:class", relative to this package. Adding a backend is one module and one line here.
_BACKENDS = {
    "ort": "ort:OrtBackend",
    "tflite": "tflite:TfliteBackend",
    "trt": "trt:TrtBackend",
    "null": "null:NullBackend",
}


def backend_names() -> tuple[str, ...]:
    """Names of all backends that users can ask for (`null` is for tests and is left out)."""
    return tuple(name for name in _BACKENDS if name != "null")


def get_backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UserError: there is no such backend.
    """
    if name not in _BACKENDS:
        raise UserError(f"unknown backend {name!r}", accepted=", ".join(backend_names()))
    module, _, cls = _BACKENDS[name].partition(":")
    backend = getattr(import_module(f".{module}", __package__), cls)()
    assert isinstance(backend, Backend)
    return backend

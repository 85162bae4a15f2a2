"""A library that TVM compiled, loaded by TVM's runtime alone: no compiler, and not the package `tvm`."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import UnsupportedError, UserError
from ..contract.backend import Array, Feed, Session
from ..contract.options import USUAL, Options, RuntimeOption, chosen
from .library_file import LibraryManifest, read_manifest
from .processor import this_one

# Vector instructions of a library ask for memory at such addresses; numpy's own has them by chance only.
_ALIGNMENT = 128
_CPU, _FIRST, _POOLED = 1, 0, 2
LIBRARY = "libtvm_runtime.so"
SPINNING = RuntimeOption(
    name="spinning",
    values=("on", "off"),
    default="on",
    does="whether threads wait for work on the processor in place of sleeping",
)


def runtime_library() -> Path | None:
    """The file of TVM's runtime, found without importing `tvm`, which loads its compiler."""
    found = find_spec("tvm")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name("lib") / LIBRARY
    return path if path.is_file() else None


@cache
def load_runtime() -> Any:
    """The module `tvm_ffi`, with TVM's runtime loaded.

    Raises:
        UnsupportedError: one of them is missing.
    """
    path = runtime_library()
    if path is None:
        raise UnsupportedError(f"the runtime of Apache TVM is not installed: no tvm/lib/{LIBRARY}")
    with _without("torch"):
        ffi = import_module("tvm_ffi")
    ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    return ffi


@contextmanager
def _without(module: str) -> Iterator[None]:
    """While this lasts, a module that is not loaded yet cannot be: `tvm_ffi` imports torch where it finds it,
    which takes 190 MB and seconds, for conversions that are not needed here."""
    absent = module not in sys.modules
    if absent:
        sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules[module]


def aligned(shape: tuple[int, ...], dtype: str) -> Array:
    """An array that code of TVM's may read by vector instructions."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(kind).reshape(shape)


class TvmSession(Session):
    """One library with the memory of its inputs."""

    def __init__(self, artifact: Path, threads: int, options: Options = USUAL) -> None:
        how = chosen(options, SPINNING)
        manifest = read_manifest(artifact)
        check_processor(manifest, artifact)
        self.inputs, self.outputs = manifest.inputs, manifest.outputs
        # Read once in a process, when a library first has work to share out; the cores are chosen by us.
        os.environ["TVM_NUM_THREADS"] = str(threads)
        os.environ["TVM_BIND_THREADS"] = "0"
        if how[SPINNING.name] == "off":
            os.environ["TVM_THREAD_POOL_SPIN_COUNT"] = "0"
        ffi = load_runtime()
        self._names = [spec.name for spec in self.outputs]
        self._filled = [(spec.name, aligned(spec.shape, spec.dtype)) for spec in self.inputs]
        self._arguments = [ffi.from_dlpack(buffer) for _, buffer in self._filled]
        machine = ffi.load_module(str(artifact.resolve()))["vm_load_executable"]()
        machine["vm_initialization"](_CPU, _FIRST, _POOLED)
        self._machine, self._main = machine, machine["main"]

    def _run(self, feed: Feed) -> dict[str, Array]:
        if self._main is None:
            raise ValueError("the session is closed")
        for name, buffer in self._filled:
            buffer[...] = feed[name]
        given = self._main(*self._arguments)
        # Copies: TVM takes the memory of an output for the next run as soon as nobody holds it.
        if len(self._names) == 1:
            return {self._names[0]: np.from_dlpack(given).copy()}
        return {name: np.from_dlpack(one).copy() for name, one in zip(self._names, given, strict=True)}

    def close(self) -> None:
        self._main = self._machine = None
        self._arguments = []


def check_processor(manifest: LibraryManifest, artifact: Path) -> None:
    """Code with instructions that a processor has not ends the process, so it is not loaded.

    Raises:
        UserError: this processor lacks something that the library was compiled for.
    """
    here = this_one()
    lacking = here.lacks(manifest.processor)
    if lacking:
        raise UserError(
            "the library was compiled for another processor",
            place=str(artifact),
            found=f"{manifest.processor.architecture}, {manifest.processor.model}; "
            f"{here.model} lacks {', '.join(lacking)}",
            accepted=f"{here.architecture} with {', '.join(here.instruction_sets)}",
            remedy="compile it for the profile of this machine",
        )

"""Memory on the GPU, through the CUDA driver API (`libcuda`) with ctypes.

It needs nothing but the driver and works with every CUDA from 11 on. It shares the device's primary context
with TensorRT, and with PyTorch where that uses the GPU in the same process.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ...profiles.errors import UnsupportedError
from ..contract.backend import Array
from . import api as trt_api


def open_memory() -> DeviceMemory:
    """Memory of the first GPU.

    Raises:
        UnsupportedError: there is no GPU that can be used.
    """
    problem = trt_api.device_problem()
    if problem:
        raise UnsupportedError(f"trt: an engine needs an NVIDIA GPU to run: {problem}")
    return DeviceMemory(trt_api.CUDA_LIBRARY)


class DeviceMemory:
    """One stream, and memory on the device and in pinned host memory. `stream` is its CUDA handle.

    Raises:
        RuntimeError: the driver reports an error; the message has the call and the driver's words.
    """

    def __init__(self, library: str) -> None:
        self._driver = ctypes.CDLL(library)
        self._freed: list[tuple[str, ctypes.c_void_p]] = []  # how to free what was made, oldest first
        self._context = ctypes.c_void_p()
        self._call("cuInit", ctypes.c_uint(0))
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), ctypes.c_int(0))
        self._open = True
        try:
            self._call("cuCtxSetCurrent", self._context)
            handle = ctypes.c_void_p()
            self._call("cuStreamCreate", ctypes.byref(handle), ctypes.c_uint(1))  # CU_STREAM_NON_BLOCKING
        except RuntimeError:
            self.close()
            raise
        self._freed.append(("cuStreamDestroy_v2", handle))
        self._handle = handle
        self.stream = int(handle.value or 0)

    def device_bytes(self, size: int) -> int:
        """Address of `size` new bytes on the device, held until `close`."""
        address = ctypes.c_void_p()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(1, size)))
        self._freed.append(("cuMemFree_v2", address))
        return int(address.value or 0)

    def host_bytes(self, size: int) -> Array:
        """A new array of `size` uint8 in pinned host memory, held until `close`."""
        address = ctypes.c_void_p()
        self._call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(max(1, size)), ctypes.c_uint(0))
        self._freed.append(("cuMemFreeHost", address))
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(int(address.value or 0)))

    def to_device(self, address: int, source: Array) -> None:
        """Queue a copy of all of `source`, an array that `host_bytes` made."""
        self._copy("cuMemcpyHtoDAsync_v2", address, source.ctypes.data, source.nbytes)

    def to_host(self, target: Array, address: int) -> None:
        """Queue a copy that fills all of `target`, an array that `host_bytes` made."""
        self._copy("cuMemcpyDtoHAsync_v2", target.ctypes.data, address, target.nbytes)

    def synchronize(self) -> None:
        """Return when everything queued is done."""
        self._call("cuStreamSynchronize", self._handle)

    def close(self) -> None:
        """Free all memory and the stream; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        self._call("cuCtxSetCurrent", self._context)
        while self._freed:
            name, handle = self._freed.pop()
            self._call(name, handle)
        self._call("cuDevicePrimaryCtxRelease_v2", ctypes.c_int(0))

    def _copy(self, name: str, target: int, source: int, size: int) -> None:
        # Addresses as void pointers: a bare int would be cut to 32 bits.
        ends = ctypes.c_void_p(target), ctypes.c_void_p(source)
        self._call(name, *ends, ctypes.c_size_t(size), self._handle)

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._driver, name)(*arguments)
        if code != 0:
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
            words = text.value.decode() if text.value else "unknown error"
            raise RuntimeError(f"CUDA driver: {name} failed with code {code} ({words})")

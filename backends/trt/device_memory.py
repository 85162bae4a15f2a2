"""Memory on the GPU: PyTorch's where PyTorch already uses the GPU in this process, else the driver's own.

The driver API needs nothing but the driver and works with every CUDA from 11 on; it shares the device's
primary context with TensorRT. PyTorch is never imported here: the runner needs numpy and the runtime alone.
"""

from __future__ import annotations

import ctypes
import sys
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ...profiles.errors import UnsupportedError
from ..contract.backend import Array
from . import api as trt_api


class DeviceMemory(ABC):
    """One stream, and memory on the device and in pinned host memory. `stream` is its CUDA handle."""

    stream: int

    @abstractmethod
    def device_bytes(self, size: int) -> int:
        """Address of `size` new bytes on the device, held until `close`."""

    @abstractmethod
    def host_bytes(self, size: int) -> Array:
        """A new array of `size` uint8 in pinned host memory, held until `close`."""

    @abstractmethod
    def to_device(self, address: int, source: Array) -> None:
        """Queue a copy of all of `source`, an array that `host_bytes` made."""

    @abstractmethod
    def to_host(self, target: Array, address: int) -> None:
        """Queue a copy that fills all of `target`, an array that `host_bytes` made."""

    @abstractmethod
    def synchronize(self) -> None:
        """Return when everything queued is done."""

    @abstractmethod
    def close(self) -> None:
        """Free all memory and the stream; a second call does nothing."""


def open_memory() -> DeviceMemory:
    """Memory of the first GPU.

    Raises:
        UnsupportedError: there is no GPU that can be used.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return TorchMemory(torch)
    problem = trt_api.device_problem()
    if problem:
        raise UnsupportedError(f"trt: an engine needs an NVIDIA GPU to run: {problem}")
    return DriverMemory(trt_api.CUDA_LIBRARY)


class TorchMemory(DeviceMemory):
    """Memory from PyTorch's allocator, so that both share one pool."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._stream = torch.cuda.Stream()
        self.stream = int(self._stream.cuda_stream)
        self._device: dict[int, Any] = {}
        self._host: dict[int, Any] = {}

    def device_bytes(self, size: int) -> int:
        """Address of new bytes on the device."""
        tensor = self._torch.empty(max(1, size), dtype=self._torch.uint8, device="cuda")
        self._device[int(tensor.data_ptr())] = tensor
        return int(tensor.data_ptr())

    def host_bytes(self, size: int) -> Array:
        """A new uint8 array in pinned memory."""
        tensor = self._torch.empty(max(1, size), dtype=self._torch.uint8, pin_memory=True)
        self._host[int(tensor.data_ptr())] = tensor
        array: Array = tensor.numpy()[:size]
        return array

    def to_device(self, address: int, source: Array) -> None:
        """Queue a copy to the device."""
        with self._torch.cuda.stream(self._stream):
            pinned = self._host[source.ctypes.data]
            self._device[address][: source.nbytes].copy_(pinned[: source.nbytes], non_blocking=True)

    def to_host(self, target: Array, address: int) -> None:
        """Queue a copy from the device."""
        with self._torch.cuda.stream(self._stream):
            pinned = self._host[target.ctypes.data]
            pinned[: target.nbytes].copy_(self._device[address][: target.nbytes], non_blocking=True)

    def synchronize(self) -> None:
        """Wait for the stream."""
        self._stream.synchronize()

    def close(self) -> None:
        """Free everything."""
        self._device.clear()
        self._host.clear()


class DriverMemory(DeviceMemory):
    """Memory through the CUDA driver API (`libcuda`), with ctypes.

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
        """Address of new bytes on the device."""
        address = ctypes.c_void_p()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(1, size)))
        self._freed.append(("cuMemFree_v2", address))
        return int(address.value or 0)

    def host_bytes(self, size: int) -> Array:
        """A new uint8 array in pinned memory."""
        address = ctypes.c_void_p()
        self._call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(max(1, size)), ctypes.c_uint(0))
        self._freed.append(("cuMemFreeHost", address))
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(int(address.value or 0)))

    def to_device(self, address: int, source: Array) -> None:
        """Queue a copy to the device."""
        self._copy("cuMemcpyHtoDAsync_v2", address, source.ctypes.data, source.nbytes)

    def to_host(self, target: Array, address: int) -> None:
        """Queue a copy from the device."""
        self._copy("cuMemcpyDtoHAsync_v2", target.ctypes.data, address, target.nbytes)

    def synchronize(self) -> None:
        """Wait for the stream."""
        self._call("cuStreamSynchronize", self._handle)

    def close(self) -> None:
        """Free everything."""
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

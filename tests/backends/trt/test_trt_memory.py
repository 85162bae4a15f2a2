"""The driver wrapper, against a driver stub compiled from C."""

from __future__ import annotations

import numpy as np
import pytest
from paretune.backends.trt import api as trt_api
from paretune.backends.trt.device_memory import DeviceMemory, open_memory
from paretune.profiles.errors import UnsupportedError


def test_bytes_go_to_the_device_and_back(driver, driver_stub):
    memory = DeviceMemory(str(driver_stub))
    assert memory.stream > 0
    source, target = memory.host_bytes(1000), memory.host_bytes(1000)
    source[:] = np.arange(1000) % 251
    target[:] = 0
    address = memory.device_bytes(1000)
    memory.to_device(address, source)
    memory.to_host(target, address)
    memory.synchronize()
    np.testing.assert_array_equal(source, target)
    assert driver.stub_copies() >= 2
    assert (driver.stub_live(), driver.stub_contexts()) == (4, 1)
    memory.close()
    memory.close()
    assert (driver.stub_live(), driver.stub_contexts()) == (0, 0)


def test_addresses_beyond_32_bits_survive(driver, driver_stub):
    memory = DeviceMemory(str(driver_stub))
    addresses = [memory.device_bytes(1 << 26) for _ in range(4)]  # large blocks are mapped high
    host = memory.host_bytes(8)
    host[:] = np.arange(8)
    assert max(addresses) > 1 << 32
    for address in addresses:
        memory.to_device(address, host)
    memory.close()


def test_empty_tensors_have_an_address(driver, driver_stub):
    memory = DeviceMemory(str(driver_stub))
    assert memory.device_bytes(0) > 0
    assert memory.host_bytes(0).shape == (0,)
    memory.close()


def test_errors_have_the_call_and_the_drivers_words(driver, driver_stub):
    memory = DeviceMemory(str(driver_stub))
    driver.stub_fail_alloc(1)
    with pytest.raises(RuntimeError, match=r"cuMemAlloc_v2 failed with code 2 \(out of memory\)"):
        memory.device_bytes(10)
    memory.close()
    assert (driver.stub_live(), driver.stub_contexts()) == (0, 0)


def test_the_device_is_described(driver):
    assert trt_api.device_problem() == ""
    assert trt_api.device_target() == "sm86"


def test_no_driver_is_said_in_words(no_gpu):
    assert trt_api.device_target() == ""
    with pytest.raises(UnsupportedError, match="needs an NVIDIA GPU to run: no NVIDIA driver"):
        open_memory()

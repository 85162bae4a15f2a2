"""The load generator against servers whose waiting times are known from queueing theory, in virtual time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from paretune.backends.load.arrivals import at_once, poisson
from paretune.backends.load.clock import RealClock, VirtualClock
from paretune.backends.load.generator import Served, offered

SERVICE_NS = 1_000_000


def run(times: np.ndarray, services: np.ndarray, batch: int = 1, limit_s: float = 1e4) -> Served:
    """Requests at those times against a server whose runs take so long, one after the other."""
    clock, taken = VirtualClock(), iter(services.tolist())
    return offered(times, lambda _: clock.passes(next(taken)), clock, batch, limit_s)


def mean_wait_ns(load: float, services: np.ndarray, seed: int) -> float:
    """Of requests that keep a server busy for a share `load` of the time."""
    times = poisson(load * 1e9 / SERVICE_NS, len(services), seed)
    return float((run(times, services).responses - services).mean())


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_waiting_times_of_constant_services_are_those_of_an_m_d_1_queue(load: float) -> None:
    services = np.full(120_000 if load > 0.8 else 60_000, SERVICE_NS)
    known = SERVICE_NS * load / (2 * (1 - load))  # Pollaczek and Khinchine
    assert mean_wait_ns(load, services, seed=5) == pytest.approx(known, rel=0.05)


def test_exponential_services_are_an_m_m_1_queue_in_mean_and_p99() -> None:
    load = 0.6
    services = np.random.default_rng(1).exponential(SERVICE_NS, 100_000).astype(np.int64)
    times = poisson(load * 1e9 / SERVICE_NS, len(services), 2)
    responses = run(times, services).responses
    mean = SERVICE_NS / (1 - load)
    assert responses.mean() == pytest.approx(mean, rel=0.05)
    assert np.quantile(responses, 0.99) == pytest.approx(mean * math.log(100), rel=0.05)


def test_the_time_in_the_queue_counts_from_when_a_request_was_to_come() -> None:
    found = run(np.array([0, 10, 20, 500]), np.array([100, 100, 100, 100]))
    assert found.responses.tolist() == [100, 190, 280, 100]
    assert found.late.tolist() == [0]


def test_a_run_takes_what_waits_and_does_not_wait_for_more() -> None:
    found = run(np.array([0, 10, 20, 30, 40, 500]), np.full(6, 100), batch=3)
    assert found.first.tolist() == [0, 1, 4, 5]
    assert found.responses.tolist() == [100, 190, 180, 170, 260, 100]


def test_a_queue_that_is_never_empty_is_served_back_to_back_in_whole_batches() -> None:
    found = run(at_once(10), np.full(10, 100), batch=4)
    assert np.diff(found.first).tolist() == [4, 4]
    assert found.busy == found.ended[-1] == 300


def test_no_run_begins_after_the_limit() -> None:
    found = run(poisson(2e9 / SERVICE_NS, 1000, 1), np.full(1000, SERVICE_NS), limit_s=0.1)
    assert 98 <= found.count <= 101  # twice as many as can be served come


def test_so_many_requests_come_in_their_time() -> None:
    times = poisson(50.0, 1000, 3)
    assert times[-1] == pytest.approx(20e9, rel=1e-6)
    gaps = np.diff(times)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)


def test_the_generator_itself_takes_microseconds() -> None:
    clock = RealClock()
    waiting = offered(at_once(2_000), lambda _: None, clock)
    assert np.median(np.diff(waiting.ended)) < 10_000
    coming = offered(poisson(20_000, 1_000, 1), lambda _: None, clock)
    assert coming.count == 1_000
    assert np.median(coming.late) < 10_000

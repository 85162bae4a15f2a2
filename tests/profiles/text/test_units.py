"""Quantities with units: what is read, and what is refused in which words."""

from __future__ import annotations

import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.text.units import DIMENSIONS, parse_bytes, parse_duration_s, parse_quantity


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5 ms", 0.005),
        ("200us", 200e-6),
        ("200 \u00b5s", 200e-6),
        ("200 \u03bcs", 200e-6),
        ("1.5 s", 1.5),
        ("10 min", 600),
        ("2 h", 7200),
        ("1 d", 86400),
        (" 3e2 ns ", 3e-7),
        (".5 s", 0.5),
    ],
)
def test_durations_are_read_in_seconds(text, seconds):
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500 kB", 500_000),
        ("500 KB", 500_000),
        ("2 MiB", 2 * 2**20),
        ("1 GB", 10**9),
        ("0.5KiB", 512),
        ("7 B", 7),
        ("1 TiB", 2**40),
    ],
)
def test_bytes_are_decimal_or_binary(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("1.2 M", "count", 1.2e6),
        ("300", "count", 300),
        ("98 %", "share", 0.98),
        ("98 percent", "share", 0.98),
        ("0.98", "share", 0.98),
        ("1 pt", "share", 0.01),
        ("-0.5 points", "share", -0.005),
        ("1.5 s", "time_ms", 1500),
        ("5 kB", "bytes", 5000),
    ],
)
def test_each_dimension_has_its_base_unit(text, dimension, value):
    assert parse_quantity(text, dimension) == pytest.approx(value)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_unit_of_the_table_survives_a_round_trip(dimension):
    for unit, factor in DIMENSIONS[dimension].factors.items():
        assert parse_quantity(f"0.25 {unit}", dimension) == pytest.approx(0.25 * factor)


@pytest.mark.parametrize(
    ("text", "dimension", "message"),
    [
        ("5 parsec", "time_ms", r"unknown unit 'parsec'(?s:.*)ns, us, ms, s, min, h, d"),
        ("5 m", "time_ms", "unknown unit 'm'"),
        ("5", "time_ms", "a unit is missing"),
        ("500", "bytes", "a unit is missing"),
        ("5 Mb", "bytes", r"unknown unit 'Mb'(?s:.*)kB, MB(?s:.*)KiB"),
        ("5 MS", "time_ms", "unknown unit 'MS'"),
        ("98", "share", "a share above 1 without a unit"),
        ("1,5 s", "time_ms", "not a time"),
        ("fast", "time_ms", "not a time"),
        ("", "bytes", "not a number of bytes"),
        ("nan ms", "time_ms", "not a time"),
        ("1e999 ms", "time_ms", "not a finite number"),
    ],
)
def test_refusals_name_the_mistake_and_what_is_accepted(text, dimension, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_quantity(text, dimension)
    assert repr(text) in str(caught.value)
    assert "for example" in str(caught.value)


def test_sizes_and_durations_are_not_negative():
    with pytest.raises(UserError, match="must not be negative"):
        parse_bytes("-1 kB")
    with pytest.raises(UserError, match="must not be negative"):
        parse_duration_s("-1 s")


def test_the_number_is_the_one_that_is_written():
    """69 % is 0.69: a candidate that is right for 69 of 100 samples meets `accuracy >= 69 %`."""
    for hundredths in range(10_001):
        assert parse_quantity(f"{hundredths / 100} %", "share") == hundredths / 10_000
    assert parse_quantity("3.00000001 ms", "time_ms") == 3.00000001
    assert parse_quantity("0.7 us", "time_ms") == 0.0007


@pytest.mark.parametrize("text", ["1.5 B", "0.1 bytes", "1e30 GB", "1e-400 GB", "\u0663 kB"])
def test_sizes_that_cannot_be_kept_are_refused(text):
    with pytest.raises(UserError, match=r"number|byte|device"):
        parse_bytes(text)
    assert parse_bytes("7.6 GiB") == 8_160_437_862  # a larger unit may leave a part of a byte

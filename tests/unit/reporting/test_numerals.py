"""Printed numbers."""

import math

import pytest

from genbench.reporting import numerals


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (numerals.significant, 12.345, "12.3"),
        (numerals.significant, 0.95, "0.950"),
        (numerals.significant, 0.99951, "1.00"),
        (numerals.significant, 1234.5, "1,234"),
        (numerals.significant, -0.0123, "-0.0123"),
        (numerals.significant, 1.234e-5, "1.23e-05"),
        (numerals.significant, 0, "0.00"),
        (numerals.significant, math.inf, "inf"),
        (numerals.proportion, 0.00123, "0.001"),
        (numerals.count, 999, "999"),
        (numerals.count, 999.9, "1k"),
        (numerals.count, 2000, "2k"),
        (numerals.count, 50_000, "50k"),
        (numerals.count, 1_234_567, "1.23M"),
        (numerals.count, 4.2e15, "4.2P"),
        (numerals.memory, 512, "512 B"),
        (numerals.memory, 999.7, "0.976 KiB"),
        (numerals.memory, 3 * 2**30, "3 GiB"),
        (numerals.duration, 0.0042, "4.20 ms"),
        (numerals.duration, 8.2, "8.20 s"),
        (numerals.duration, 59.96, "0:01:00"),
        (numerals.duration, 4210, "1:10:10"),
        (numerals.duration, 1e6, "277:46:40"),
    ],
)
def test_numbers_are_short(function, value, text):
    assert function(value) == text


def test_a_standard_deviation_has_as_many_digits_as_its_mean():
    assert numerals.plus_minus("12.3", 0.0678) == "12.3 ± 0.1"
    assert numerals.plus_minus("0.812", 0.0678) == "0.812 ± 0.068"
    assert numerals.plus_minus("1,234", 1000.4) == "1,234 ± 1,000"
    assert numerals.plus_minus("1.23e-05", 2e-6) == "1.23e-05 ± 2.00e-06"

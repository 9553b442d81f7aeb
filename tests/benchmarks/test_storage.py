"""What the storage benchmark works out, and that all tiers hold the same records."""

from datetime import date

import pytest

from benchmarks import storage
from benchmarks.baselines.blueprint_layout import _line
from benchmarks.measuring import Figures
from benchmarks.simulated_day import simulate_day
from benchmarks.storage import Sizes

_DAY = date(2026, 11, 25)


def make_sizes(**overrides: int) -> Sizes:
    sizes = {
        "rows": 1_000, "days": 2, "blueprint": 400_000, "heap": 250_000, "hot": 300_000,
        "warm": 25_000, "cold": 16_000, "archive": 18_000,
    }  # fmt: skip
    return Sizes(**{**sizes, **overrides})


def test_reductions_are_of_the_cold_tier_and_the_archive_against_both_baselines() -> None:
    figures: Figures = {}
    storage._note("real", make_sizes(), figures, [])
    assert figures["reduction_percent_real"] == pytest.approx(96.0)
    assert figures["reduction_percent_real_typed"] == pytest.approx(100 * (1 - 16 / 300))
    assert figures["parquet_reduction_percent_real"] == pytest.approx(95.5)
    assert figures["clickhouse_bytes_per_row_real"] == 25
    assert figures["clickhouse_cold_bytes_per_row_real"] == 16


def test_the_blueprints_arithmetic_counts_devices_that_were_silent() -> None:
    figures: Figures = {}
    storage._note_arithmetic(make_sizes(), 10, figures, [])
    assert figures["records_per_device_and_day"] == 100
    assert figures["fleet_blueprint_gb_per_day"] == pytest.approx(100_000 * 100 * 400 / 1e9)
    assert figures["fleet_cold_tb_per_year"] == pytest.approx(100_000 * 100 * 16 * 365 / 1e12)


def test_the_blueprints_row_has_all_elements_and_whole_numbers() -> None:
    record = {
        "timestamp_ms": 1_500, "longitude": -837_381_234, "latitude": 422_770_000, "altitude": 250,
        "angle": 90, "speed": 72, "io": {16: 1_609_344, 66: 12_345, 281: b"P0300,P0420", 10_000: b"\x01"},
    }  # fmt: skip
    cells = _line("001", "VIN", record).rstrip("\n").split("\t")
    assert cells[:12] == [
        "1970-01-01T00:00:01.500000+00:00", "001", "VIN", "42.277", "-83.7381234", "45", "90", "820",
        "1000", r"\N", "12.345", "{P0300,P0420}",
    ]  # fmt: skip
    assert cells[12] == '{"16":1609344,"66":12345,"281":"50303330302c5030343230","10000":"01"}'


@pytest.mark.integration
@pytest.mark.slow
def test_every_tier_is_smaller_than_the_one_before_it() -> None:
    fleet = simulate_day(_DAY, 60)
    sizes = storage.measure(fleet.devices, fleet.frames)  # raises where a tier lacks a row
    assert sizes.rows > 10_000
    assert sizes.blueprint > sizes.hot > sizes.heap > sizes.warm > sizes.cold > 0
    assert sizes.hot > 5 * sizes.archive > 0

"""A device's integer, the value it became and the integer kept of that value are one and the same."""

import math
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.units import feet_from_metres, mph_from_kph
from tests.warehouse.archive.making import bits, single
from warehouse.archive import derived
from warehouse.archive.integers import Integers
from warehouse.steps import BY_NAME, STEPS, Step

EVERY_STEP = pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
TELLS_APART = 4_000_000
"""Up to here 32-bit numbers lie closer together than millivolts."""


def limits(step: Step) -> Any:
    return np.iinfo(step.kept_type.lower())


def values_of(step: Step, kept: np.ndarray) -> np.ndarray:
    """What the sink makes of integers; numpy's own arithmetic."""
    numbers = (kept.astype(np.int64) * step.factor).astype(np.float64) / step.divisor
    return numbers.astype(np.float32) if step.is_single else numbers


def some_of(step: Step) -> np.ndarray:
    """All integers of 16 bits; of 32 the ends, those around zero and 100,000 anywhere."""
    least, most = int(limits(step).min), int(limits(step).max)
    if most < 2**16:
        return np.arange(least, most + 1)
    if step.is_single:
        # rounded to 32 bits the last ones come to lie outside: such a day keeps the column
        least, most = least + 125, most - 125
    anywhere = np.random.default_rng(1).integers(least, most, 100_000, endpoint=True)
    return np.concatenate([anywhere, np.arange(-20_000, 20_000), [least, least + 1, most - 1, most]])


def kept_of(step: Step, values: Any) -> pa.Array:
    kind = pa.float32() if step.is_single else pa.float64()
    [kept] = Integers(step).kept(pa.array(values, kind))
    assert kept.type == Integers(step).fields[0].type
    return kept


def made_of(step: Step, kept: pa.Array) -> pa.Array:
    made = Integers(step).value(pa.table({step.kept: kept}))
    return made.combine_chunks()


def is_exact(step: Step, values: Any) -> np.ndarray:
    """Of numbers: whether each comes back with its very bits."""
    made = made_of(step, kept_of(step, values))
    image = np.uint32 if step.is_single else np.uint64
    is_there = made.is_valid().to_numpy(zero_copy_only=False)
    return is_there & (made.to_numpy(zero_copy_only=False).view(image) == values.view(image))


@EVERY_STEP
def test_every_integer_gives_a_value_that_gives_it_back(step: Step):
    whole = some_of(step)
    values = values_of(step, whole)
    assert is_exact(step, values).all()
    told_apart = np.abs(whole) <= TELLS_APART if step.is_single else np.full(len(whole), True)
    kept = kept_of(step, values).to_numpy()
    assert (kept[told_apart] == whole[told_apart]).all()


@EVERY_STEP
@pytest.mark.parametrize("side", [-math.inf, math.inf])
def test_a_value_beside_it_by_one_bit_has_no_integer(step: Step, side: float):
    whole = some_of(step)
    if step.is_single:
        whole = whole[np.abs(whole) <= TELLS_APART]
    values = values_of(step, whole)
    assert not is_exact(step, np.nextafter(values, values.dtype.type(side))).any()


@given(st.floats(width=32))
@settings(max_examples=300)
def test_no_number_of_32_bits_comes_back_as_another_unseen(value: float):
    for step in STEPS:
        number = np.array([value], np.float32 if step.is_single else np.float64)
        [made] = made_of(step, kept_of(step, number)).to_pylist()
        rows = pa.table({step.name: number})
        differing = derived.differing(rows, derived.stored_rows(rows, [Integers(step)]), [Integers(step)])
        assert (not differing) == (bits([made]) == bits(number.tolist()))


@EVERY_STEP
def test_what_no_device_sends_is_never_taken_for_an_integer(step: Step):
    odd = [math.nan, math.inf, -math.inf, -0.0, 1e38, -1e38, 1e-45, math.pi]
    assert not is_exact(step, np.array(odd, np.float32 if step.is_single else np.float64)).any()
    assert not is_exact(BY_NAME["lat"], np.array([1e305, -5e-324])).any()


@EVERY_STEP
def test_the_integers_end_where_their_type_does(step: Step):
    beyond = values_of(step, np.array([int(limits(step).min) - 1000, int(limits(step).max) + 1000]))
    assert kept_of(step, beyond).null_count == 2


@EVERY_STEP
def test_null_is_null_and_leaves_its_neighbours_alone(step: Step):
    kept = kept_of(step, [None, 0.0, None])
    assert kept.to_pylist() == [None, 0, None]
    assert made_of(step, kept).to_pylist() == [None, 0.0, None]


@pytest.mark.parametrize(
    ("name", "kept", "value"),
    [
        ("speed_mph", 37, single(37 * 1000 / 1609.344)),
        ("speed_mph", 37, single(mph_from_kph(37))),
        ("altitude_ft", -12, single(feet_from_metres(-12))),
        ("battery_v", 12_345, single(12.345)),
        ("hdop", 9, single(0.9)),
        ("maf_gps", 327, single(3.27)),
        ("lat", 422_876_128, 42.2876128),
        ("lng", -836_868_378, -83.6868378),
    ],
)
def test_known_vectors(name: str, kept: int, value: float):
    step = BY_NAME[name]
    assert kept_of(step, [value]).to_pylist() == [kept]
    assert bits(made_of(step, pa.array([kept], pa.int32())).to_pylist()) == bits([value])


def test_formulas_are_said_in_full_and_short():
    assert {step.name: Integers(step).words for step in STEPS} == {
        "lat": "lat_e7/10000000", "lng": "lng_e7/10000000", "speed_mph": "speed_kph*1000/1609.344",
        "altitude_ft": "altitude_m/0.3048", "battery_v": "battery_mv/1000", "hdop": "hdop_tenths/10",
        "maf_gps": "maf_cgps/100", "crank_v": "crank_mv/1000", "charge_v": "charge_mv/1000",
    }  # fmt: skip


def test_integers_that_were_rewritten_wider_are_read_and_other_kinds_are_not():
    rule = Integers(BY_NAME["lat"])
    assert rule.can_be_made(pa.schema([("lat_e7", pa.int64())]))
    assert not rule.can_be_made(pa.schema([("lat_e7", pa.float64())]))
    assert not rule.can_be_made(pa.schema([("lat", pa.float64())]))


def test_a_column_in_several_pieces_is_one_column():
    chance = random.Random(1)
    kept = [chance.randrange(-(2**31), 2**31) for _ in range(50)]
    pieces = pa.chunked_array([pa.array(kept[:20], pa.int32()), pa.array(kept[20:], pa.int32())])
    made = Integers(BY_NAME["lng"]).value(pa.table({"lng_e7": pieces}))
    assert made.to_pylist() == [each / 1e7 for each in kept]

"""The miles made of archived metres are the sink's own, to the last bit."""

import random
from typing import Any, Final

import pyarrow as pa
import pytest

from ingest.measurement import ODOMETER_COLUMNS
from ingest.sink.rows import stamp_odometer
from telematics.names import OdometerSource
from tests.warehouse.archive.making import CAN, GNSS, OBD, bits, make_rows
from warehouse.archive.miles import Miles

_EDGES: Final = (0, 1, -1, 2**53 - 1, 2**53 + 1, 2**62 + 1, 2**63 - 1, -(2**63))


@pytest.mark.parametrize("source", list(OdometerSource))
def test_miles_are_the_sinks_own_to_the_last_bit(source: OdometerSource) -> None:
    chance = random.Random(source.value)
    metres = [*_EDGES, *(chance.randrange(-(2**63), 2**63) for _ in range(500))]
    metres += [chance.randrange(10**9) for _ in range(5_000)]
    column = ODOMETER_COLUMNS[source]
    stamped: list[dict[str, Any]] = [{column: each} for each in metres]
    for row in stamped:
        stamp_odometer(row, source)
    others = {name: [7] * len(metres) for name in (GNSS, CAN, OBD)}
    rows = make_rows(len(metres), **(others | {column: metres, "odometer_source": [source] * len(metres)}))
    assert bits(Miles().value(rows).to_pylist()) == bits([row["odometer"] for row in stamped])


@pytest.mark.parametrize(
    ("source", "metres"), [(None, 1), ("partner", 1), ("gnss", None), (None, None), ("odometer_gnss_m", 1)]
)
def test_without_a_source_or_its_metres_there_are_no_miles(source: str | None, metres: int | None) -> None:
    rows = make_rows(1, odometer_source=[source], odometer_gnss_m=[metres], odometer_can_m=[5])
    assert Miles().value(rows).to_pylist() == [None]


def test_only_the_columns_of_the_one_odometer_take_part() -> None:
    assert set(Miles().inputs) == {*ODOMETER_COLUMNS.values(), "odometer_source"}


def test_a_source_may_be_a_dictionary_but_no_number() -> None:
    kinds = dict.fromkeys((GNSS, CAN, OBD), pa.int64())
    coded = {**kinds, "odometer_source": pa.dictionary(pa.int8(), pa.string())}
    assert Miles().can_be_made(pa.schema(coded.items()))
    assert not Miles().can_be_made(pa.schema({**coded, "odometer_source": pa.int8()}.items()))
    assert not Miles().can_be_made(pa.schema({**coded, CAN: pa.float64()}.items()))
    assert not Miles().can_be_made(pa.schema(kinds.items()))

"""Answers a vehicle's mileage over time."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

from serving.consent.gate import VehicleAccess
from serving.time_range import TimeRange, checked_range
from serving.vehicles.odometer.repository import OdometerReader
from serving.vehicles.odometer.schemas import (
    OdometerHistoryMetricRead,
    OdometerHistoryRead,
    ReadingMetricRead,
    ReadingRead,
)
from serving.vehicles.units import Units, distance
from telematics.clock import Clock, rfc3339_ms, utc_now
from warehouse.history import OdometerReading

LONGEST = timedelta(days=7305)
"""Twenty years: twice what the archive promises to keep."""

_PENDING = ["anomalies", "confidence"]
"""Both come with the odometer assessment."""


def odometer_range(start: datetime | None, end: datetime | None, now: datetime) -> TimeRange:
    """The range asked for, defaults filled in.

    Raises:
        InvalidParametersError: it is empty, reversed or longer than twenty years.
    """
    last = end or now
    return checked_range(start or last - LONGEST, last, longest=LONGEST)


def build_history(
    access: VehicleAccess, asked: TimeRange, readings: Sequence[OdometerReading], units: Units
) -> OdometerHistoryRead | OdometerHistoryMetricRead:
    """One reading a day, from the installation's one source; the series of other sources stay apart."""
    shared: dict[str, Any] = {
        "vin": access.vin,
        "from": rfc3339_ms(asked.start),
        "to": rfc3339_ms(asked.end),
        "anomalies": None,
        "confidence": None,
        "pending": list(_PENDING),
        "withheld": [],
    }
    primary = [reading for reading in readings if reading.is_primary]
    if units is Units.METRIC:
        return OdometerHistoryMetricRead(
            **shared,
            readings=[
                ReadingMetricRead(
                    date=reading.date,
                    source=reading.source,
                    odometer_km=distance(reading.odometer, units) or 0.0,
                )
                for reading in primary
            ],
        )
    return OdometerHistoryRead(
        **shared,
        readings=[
            ReadingRead(
                date=reading.date, source=reading.source, odometer=distance(reading.odometer, units) or 0.0
            )
            for reading in primary
        ],
    )


class OdometerService:
    """Answers odometer histories."""

    def __init__(self, odometer: OdometerReader, clock: Clock = utc_now) -> None:
        self._odometer = odometer
        self._clock = clock

    async def history(
        self, access: VehicleAccess, start: datetime | None, end: datetime | None, units: Units
    ) -> OdometerHistoryRead | OdometerHistoryMetricRead:
        """The readings of the days that the range touches.

        A reading is the last of its UTC day, so a day counts when any part of it lies in the range.

        Raises:
            InvalidParametersError: the range is empty, reversed or too long.
            StoreUnavailableError: the warehouse does not answer.
        """
        asked = odometer_range(start, end, self._clock())
        after_last = asked.end.date()
        if asked.end.time() != time.min:
            after_last += timedelta(days=1)
        readings = await self._odometer.readings(access, asked.start.date(), after_last)
        return build_history(access, asked, readings, units)

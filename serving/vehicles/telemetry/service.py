"""Answers pages of a vehicle's records."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from serving.consent.gate import VehicleAccess
from serving.problems.errors import CursorRefusedError, FieldProblem, InvalidParametersError
from serving.time_range import TimeRange, checked_range
from serving.vehicles.location import precision_allowed
from serving.vehicles.telemetry.cursors import CursorSeal, SealedPosition
from serving.vehicles.telemetry.records import record_builder, withheld_fields
from serving.vehicles.telemetry.repository import TelemetryReader
from serving.vehicles.telemetry.schemas import TelemetryQuery
from telematics.clock import Clock, rfc3339_ms, utc_now

LONGEST = timedelta(days=366)
"""A year in one query; longer histories are asked for year by year."""


@dataclass(frozen=True, slots=True)
class TelemetryAnswer:
    """A page, ready to be encoded."""

    body: dict[str, Any]
    next_cursor: str | None


class TelemetryService:
    """Answers pages of records."""

    def __init__(self, telemetry: TelemetryReader, seal: CursorSeal, clock: Clock = utc_now) -> None:
        self._telemetry = telemetry
        self._seal = seal
        self._clock = clock

    async def page(self, access: VehicleAccess, query: TelemetryQuery) -> TelemetryAnswer:
        """One page.

        Raises:
            InvalidParametersError: the range is missing, empty, reversed or too long.
            CursorRefusedError: the cursor was changed, or belongs to another query.
            StoreUnavailableError: a tier does not answer.
        """
        asked, after = self._position(access, query)
        page = await self._telemetry.page(access, asked, query.limit, after)
        next_cursor = None
        if page.next is not None:
            next_cursor = self._seal.seal(access, SealedPosition(asked, page.next))
        build = record_builder(access, query.units)
        body = {
            "vin": access.vin,
            "from": rfc3339_ms(asked.start),
            "to": rfc3339_ms(asked.end),
            "units": query.units,
            "records": [build(row) for row in page.records],
            "tiers": list(page.tiers),
            "pending_tiers": ["archive"] if page.pending_days else [],
            "location_precision": precision_allowed(access),
            "withheld": withheld_fields(access, query.units),
            "next": next_cursor,
        }
        return TelemetryAnswer(body, next_cursor)

    def _position(self, access: VehicleAccess, query: TelemetryQuery) -> tuple[TimeRange, str | None]:
        if query.cursor is not None:
            sealed = self._seal.open(access, query.cursor)
            if _differs(query.from_, sealed.asked.start) or _differs(query.to, sealed.asked.end):
                message = "This cursor belongs to another range; leave from and to out, or start again."
                raise CursorRefusedError(message)
            return sealed.asked, sealed.after
        if query.from_ is None:
            raise InvalidParametersError(FieldProblem("#/query/from", "is needed unless a cursor is given"))
        return checked_range(query.from_, query.to or self._clock(), longest=LONGEST), None


def _differs(given: datetime | None, sealed: datetime) -> bool:
    return given is not None and given != sealed

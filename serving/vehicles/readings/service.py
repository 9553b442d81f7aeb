"""Accepts a body of readings.

Order, which is the promise:

1. the Idempotency-Key is claimed; what it named before is answered again;
2. each reading is checked by itself, and the good ones go to Kafka;
3. every one of them is confirmed (acks=all); if not, nothing is promised: 503, and the key is free again;
4. the answer is remembered under the key, then given.

Dying before 4 leaves readings in the stream whose sender has no answer. It sends them again, and the sink
leaves out what it has by its identity (device, time, event, content), so each is one row.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from ingest.device_time import DeviceTimes
from ingest.stream.reading_form import Fault, Reading, ReadingRefusedError, parse_reading
from ingest.stream.readings import encode_reading, encode_reading_headers
from serving.idempotency.models import Remembered
from serving.idempotency.service import IdempotencyStore, claimed
from serving.problems.errors import (
    FieldProblem,
    IdempotencyKeyReusedError,
    InvalidParametersError,
    ReadingsRefusedError,
)
from serving.vehicles.readings.body import Item, PostedBody
from serving.vehicles.readings.limits import A_DAY_AHEAD, MAX_SHOWN_ERRORS
from serving.vehicles.readings.log import Flight, ReadingLog
from serving.vehicles.readings.source import ReadingSource
from serving.vehicles.units import Units
from telematics.clock import Clock, epoch_ms, utc_now

_ACCEPTED: Final = {"status": "accepted"}
_BREATH: Final = 64
"""Readings after which others get their turn in the loop: about 2 ms."""
STATUS: Final = 202


@dataclass(frozen=True, slots=True)
class ReadingsAnswer:
    """The answer to a post."""

    body: dict[str, Any]
    is_repeated: bool
    """It was given before."""


@dataclass(slots=True)
class _Outcome:
    """What became of each reading so far."""

    body: PostedBody
    results: list[dict[str, Any]] = field(default_factory=list)
    problems: list[FieldProblem] = field(default_factory=list)
    accepted: int = 0

    def accept(self) -> None:
        self.results.append({"index": len(self.results), **_ACCEPTED})
        self.accepted += 1

    def reject(self, faults: tuple[Fault, ...]) -> None:
        index = len(self.results)
        start = f"{self.body.pointer}/{index}" if self.body.is_numbered else self.body.pointer
        if len(self.problems) < MAX_SHOWN_ERRORS:
            self.problems += (FieldProblem(start + fault.pointer, fault.detail) for fault in faults)
        errors = [fault._asdict() for fault in faults]
        self.results.append({"index": index, "status": "rejected", "errors": errors})

    def document(self) -> dict[str, Any]:
        rejected = len(self.results) - self.accepted
        return {"accepted": self.accepted, "rejected": rejected, "results": self.results}


class ReadingService:
    """Takes posted readings into the stream."""

    def __init__(
        self,
        log: ReadingLog,
        idempotency: IdempotencyStore,
        clock: Clock = utc_now,
        times: DeviceTimes = A_DAY_AHEAD,
    ) -> None:
        self._times = times
        self._log = log
        self._idempotency = idempotency
        self._clock = clock

    async def accept(self, source: ReadingSource, key: str, body: PostedBody, units: Units) -> ReadingsAnswer:
        """Take a body in; the steps are the module's.

        Raises:
            HTTPException: 413, the body is too long.
            IdempotencyKeyInUseError: another request with the key is running.
            IdempotencyKeyReusedError: the key named another request before.
            InvalidParametersError: the body is no list of readings.
            ReadingsRefusedError: none of its readings could be accepted.
            StoreUnavailableError: Kafka or TimescaleDB does not answer.
        """
        await body.prepare()
        async with claimed(self._idempotency, source.device_id, key) as found:
            if isinstance(found, Remembered):
                if found.fingerprint != await _fingerprint(source, body, units):
                    raise IdempotencyKeyReusedError
                return ReadingsAnswer(found.body, is_repeated=True)
            outcome = await self._take(source, body, units)
            answer = outcome.document()
            fingerprint = await _fingerprint(source, body, units)
            await self._idempotency.settle(found, fingerprint, STATUS, answer)
        return ReadingsAnswer(answer, is_repeated=False)

    async def _take(self, source: ReadingSource, body: PostedBody, units: Units) -> _Outcome:
        """Steps 2 and 3."""
        outcome, flight = _Outcome(body), self._log.begin()
        async for item in body.items():
            await self._take_one(item, source, units, outcome, flight)
            if len(outcome.results) % _BREATH == 0:
                await asyncio.sleep(0)
        await flight.landed()
        if not outcome.results:
            raise InvalidParametersError(FieldProblem(body.pointer, "has no readings in it"))
        if not outcome.accepted:
            raise ReadingsRefusedError(outcome.problems[:MAX_SHOWN_ERRORS])
        return outcome

    async def _take_one(
        self, item: Item, source: ReadingSource, units: Units, outcome: _Outcome, flight: Flight
    ) -> None:
        received_at_ms = epoch_ms(self._clock())
        try:
            reading = _checked(item, source, units, received_at_ms, self._times)
        except ReadingRefusedError as error:
            outcome.reject(error.faults)
            return
        await flight.send(
            source.device_id.encode(), encode_reading(reading), encode_reading_headers(received_at_ms)
        )
        outcome.accept()


def _checked(item: Item, source: ReadingSource, units: Units, now_ms: int, times: DeviceTimes) -> Reading:
    """The reading in an item.

    Raises:
        ReadingRefusedError: it is none, or not one that this source can have taken.
    """
    if item.fault is not None:
        raise ReadingRefusedError([item.fault])
    reading = parse_reading(item.document, source.vin, is_metric=units is Units.METRIC)
    if not times.accept(reading.time_ms, now_ms):
        # the sender can be told at once what would make a dead letter of a frame
        is_ahead = reading.time_ms > now_ms
        raise ReadingRefusedError(
            [Fault("/timestamp", "time_ahead" if is_ahead else "time_out_of_range", f"lies {times.words()}")]
        )
    if (fault := source.find_fault(reading.time_ms)) is not None:
        raise ReadingRefusedError([fault])
    return reading


async def _fingerprint(source: ReadingSource, body: PostedBody, units: Units) -> str:
    """What tells this request from another one: its kind, vehicle, units, form and bytes."""
    digest = await body.digest()
    head = f"readings {source.vin} {units} {body.media_type} "
    return hashlib.sha256(head.encode() + digest).hexdigest()

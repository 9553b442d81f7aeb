"""The way into `telemetry.readings.v1`: a request's readings, all confirmed by Kafka or none promised."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from ingest.stream.messages import Headers
from ingest.stream.producer import KafkaFrameProducer, ProducerBrokenError, ProducerOptions
from serving.stores import StoreUnavailableError
from telematics.names import Topic
from telematics.settings import Settings

_FULL_PAUSE_S: Final = 0.01
_GRACE_S: Final = 2.0
"""How much later than its own limit the producer may report."""
_NOT_CONFIRMED: Final = "Kafka did not confirm the readings; see `piston status`"


class Flight(Protocol):
    """The messages of one request under way."""

    async def send(self, key: bytes, value: bytes, headers: Headers) -> None:
        """Hand over one message; waits while there is no room.

        Raises:
            StoreUnavailableError: Kafka does not take it, or failed one before it.
        """

    async def landed(self) -> None:
        """Wait until every message is durable (acks=all).

        Raises:
            StoreUnavailableError: one of them is not known to be.
        """


class ReadingLog(Protocol):
    """Takes readings to the stream."""

    def begin(self) -> Flight:
        """A flight of its own for a request."""


class _KafkaFlight:
    def __init__(self, producer: KafkaFrameProducer["_KafkaFlight"], within_s: float) -> None:
        self._producer = producer
        self._within_s = within_s
        self._open = 0
        self._has_failed = False
        self._settled = asyncio.Event()
        self._settled.set()

    def report(self, *, is_durable: bool) -> None:
        """Take in one delivery report."""
        self._open -= 1
        self._has_failed = self._has_failed or not is_durable
        if not self._open:
            self._settled.set()

    async def send(self, key: bytes, value: bytes, headers: Headers) -> None:
        """See `Flight`."""
        try:
            async with asyncio.timeout(self._within_s):
                # the producer's queue is shared by all requests and tells nobody when it has room again
                while not self._has_failed and not self._producer.send(  # noqa: ASYNC110
                    key, value, headers, self
                ):
                    await asyncio.sleep(_FULL_PAUSE_S)
        except (TimeoutError, ProducerBrokenError) as error:
            raise StoreUnavailableError(_NOT_CONFIRMED) from error
        if self._has_failed:
            raise StoreUnavailableError(_NOT_CONFIRMED)
        self._open += 1
        self._settled.clear()

    async def landed(self) -> None:
        """See `Flight`."""
        try:
            await asyncio.wait_for(self._settled.wait(), self._within_s + _GRACE_S)
        except TimeoutError as error:
            raise StoreUnavailableError(_NOT_CONFIRMED) from error
        if self._has_failed:
            raise StoreUnavailableError(_NOT_CONFIRMED)


class KafkaReadingLog:
    """A `ReadingLog` over the producer that the gateway uses. Create and use it in one event loop."""

    def __init__(self, settings: Settings) -> None:
        """A log; Kafka does not have to answer yet."""
        self._options = ProducerOptions(
            bootstrap=settings.kafka_bootstrap,
            topic=Topic.READINGS,
            delivery_timeout_s=settings.api_delivery_timeout_s,
        )
        self._producer = self._make()
        self._is_broken = False

    def begin(self) -> Flight:
        """See `ReadingLog`."""
        if self._is_broken:
            # a fatal error of librdkafka ends a producer for good; its messages were reported as failed
            self._producer, self._is_broken = self._make(), False
        return _KafkaFlight(self._producer, self._options.delivery_timeout_s)

    async def close(self) -> None:
        """Report what is still under way as failed, and end."""
        await self._producer.close()

    def _make(self) -> KafkaFrameProducer[_KafkaFlight]:
        producer = KafkaFrameProducer[_KafkaFlight](self._options, self._break)
        producer.start(_deliver)
        return producer

    def _break(self) -> None:
        self._is_broken = True


def _deliver(reports: Sequence[tuple[_KafkaFlight, bool]]) -> None:
    for flight, is_durable in reports:
        flight.report(is_durable=is_durable)

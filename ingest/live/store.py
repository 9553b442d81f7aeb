"""Live state in Redis (Valkey): one script call per vehicle, all calls of a batch in one round trip."""

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final, NamedTuple

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from ingest.live.state import Signal
from telematics.errors import ConfigurationError, UnavailableError
from telematics.names import live_key
from telematics.settings import Settings

_TIMEOUT_S: Final = 5.0

NEWEST_SCRIPT: Final = resources.files("ingest.live").joinpath("newest.lua").read_text(encoding="utf-8")

# What passes by itself: no connection, still loading, a replica during a failover, memory full until someone
# makes room.
_TRANSIENT: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
)


class LiveStoreUnavailableError(UnavailableError):
    """Redis is down, loading or full: transient."""


def connect(settings: Settings) -> redis.Redis:
    """A client; it connects when first used, and again after a loss."""
    return redis.Redis(
        host=settings.host,
        port=settings.valkey_port,
        password=settings.valkey_password.get_secret_value(),
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        client_name="piston-live",
        # the consumer loop waits and tries again, and goes on polling Kafka meanwhile
        retry=Retry(NoBackoff(), 0),
    )


class WriteResult(NamedTuple):
    """What became of a batch of vehicles."""

    signal_count: int
    """Signals that were newer than what was there."""
    refused_count: int
    """Vehicles whose key holds something else than live state; they were left alone."""


class LiveStore:
    """Writes the newest signals of vehicles; repeating a write changes nothing."""

    def __init__(self, client: redis.Redis) -> None:
        """A store over a client that answers in bytes."""
        self._client = client
        self._script_id: str | None = None

    def write(self, vehicles: Mapping[str, Sequence[Signal]]) -> WriteResult:
        """Offer signals; each is taken if it is newer than what is there.

        Raises:
            LiveStoreUnavailableError: Redis is down; some vehicles may be written, so offer all again.
            ConfigurationError: Redis refuses the password.
        """
        if not vehicles:
            return WriteResult(0, 0)
        try:
            if self._script_id is None:
                self._script_id = self._load()
            answers = self._offer(vehicles, self._script_id)
            if any(isinstance(answer, exceptions.NoScriptError) for answer in answers):
                # a restarted or flushed Redis has forgotten the script
                self._script_id = self._load()
                answers = self._offer(vehicles, self._script_id)
        except exceptions.AuthenticationError as error:
            message = "Valkey refuses our password; set PISTON_VALKEY_PASSWORD"
            raise ConfigurationError(message) from error
        except _TRANSIENT as error:
            raise _unavailable(error) from error
        for answer in answers:
            if isinstance(answer, _TRANSIENT):
                raise _unavailable(answer) from answer
        taken = sum(int(answer) for answer in answers if isinstance(answer, int))
        return WriteResult(taken, sum(isinstance(answer, Exception) for answer in answers))

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _load(self) -> str:
        return str(self._client.script_load(NEWEST_SCRIPT))

    def _offer(self, vehicles: Mapping[str, Sequence[Signal]], script_id: str) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for vin, signals in vehicles.items():
            arguments = [part for signal in signals for part in signal]
            pipeline.evalsha(script_id, 1, live_key(vin), *arguments)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers


def _unavailable(error: Exception) -> LiveStoreUnavailableError:
    message = f"Valkey does not take live state now ({type(error).__name__}); `piston status` shows it"
    return LiveStoreUnavailableError(message)

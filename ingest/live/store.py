"""Live state in Redis (Valkey): a script call for some vehicles, all calls of a batch in one round trip.

A batch is written in two steps: signals and what the alert rules know, in one round trip; and when all of
that is there, the offsets in another. Dying in between costs a repetition, which changes nothing.

Calls are bounded: while a script runs, nobody else is served. A call takes about 0.3 ms.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from itertools import islice
from typing import Any, Final, NamedTuple

import redis
from hiredis import pack_command
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from ingest.alerts import memory as memories
from ingest.alerts.memory import EMPTY, Encoded, Memory, Subject
from ingest.live.offsets import Move
from ingest.live.state import SIGNALS, Offer
from telematics.errors import ConfigurationError, UnavailableError
from telematics.names import LIVE_OFFSETS_KEY, alert_state_key, live_key
from telematics.settings import Settings

_TIMEOUT_S: Final = 5.0
_KEYS_A_CALL: Final = 50
_CALL: Final = "EVALSHA"
_SIGNAL_NAMES: Final = (str(len(SIGNALS)), *SIGNALS)


def _script(name: str) -> str:
    return resources.files("ingest.live").joinpath(f"{name}.lua").read_text(encoding="utf-8")


NEWEST_SCRIPT: Final = _script("newest")
_REMEMBER_SCRIPT: Final = _script("remember")
_COMMIT_SCRIPT: Final = _script("commit")

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


class _Scripts(NamedTuple):
    """Ids of our scripts in this Redis."""

    newest: str
    remember: str
    commit: str


class LiveStore:
    """Writes the newest signals of vehicles; repeating a write changes nothing."""

    def __init__(self, client: redis.Redis) -> None:
        """A store over a client that answers in bytes."""
        self._client = client
        self._scripts: _Scripts | None = None

    def write(
        self, vehicles: Mapping[str, Offer], known: Mapping[Subject, Encoded] | None = None
    ) -> WriteResult:
        """Offer signals and what alert rules know; each is taken if it is newer than what is there.

        Raises:
            LiveStoreUnavailableError: Redis is down; some vehicles may be written, so offer all again.
            ConfigurationError: Redis refuses the password.
        """
        known = known or {}
        if not vehicles and not known:
            return WriteResult(0, 0)
        call_count = -(-len(vehicles) // _KEYS_A_CALL)
        with _translated_errors():
            answers = self._offer(vehicles, known, self._loaded())
            if any(isinstance(answer, exceptions.NoScriptError) for answer in answers):
                # a restarted or flushed Redis has forgotten the scripts
                self._scripts = None
                answers = self._offer(vehicles, known, self._loaded())
        for answer in answers:
            if isinstance(answer, _TRANSIENT):
                raise _unavailable(answer) from answer
            if isinstance(answer, Exception):
                raise answer
        return WriteResult(
            sum(int(written) for written, _ in answers[:call_count]),
            sum(int(refused) for _, refused in answers),
        )

    def commit(self, moves: Sequence[Move]) -> bool:
        """Move offsets, all or none; False if something else stands there than was expected.

        Raises:
            LiveStoreUnavailableError: Redis is down; whether the step was taken is not known.
            ConfigurationError: Redis refuses the password.
        """
        arguments = [part for move in moves for part in move]
        with _translated_errors():
            try:
                answer = self._client.evalsha(self._loaded().commit, 1, LIVE_OFFSETS_KEY, *arguments)
            except exceptions.NoScriptError:
                self._scripts = None
                answer = self._client.evalsha(self._loaded().commit, 1, LIVE_OFFSETS_KEY, *arguments)
        return bool(answer)

    def read_offsets(self) -> dict[bytes, bytes]:
        """Every field of the offsets' hash.

        Raises:
            LiveStoreUnavailableError: Redis is down.
            ConfigurationError: Redis refuses the password.
        """
        with _translated_errors():
            stored = self._client.hgetall(LIVE_OFFSETS_KEY)
        return {_octets(field): _octets(value) for field, value in stored.items()}

    def recall(self, subjects: Collection[Subject]) -> dict[Subject, Memory]:
        """What the alert rules know of these subjects; those that are not known are empty.

        Raises:
            LiveStoreUnavailableError: Redis is down.
            ConfigurationError: Redis refuses the password.
        """
        wanted = list(subjects)
        with _translated_errors():
            found = self._client.mget([alert_state_key(*subject) for subject in wanted])
        return {
            subject: EMPTY if value is None else memories.decode(_octets(value))
            for subject, value in zip(wanted, found, strict=True)
        }

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _loaded(self) -> _Scripts:
        if self._scripts is None:
            texts = (NEWEST_SCRIPT, _REMEMBER_SCRIPT, _COMMIT_SCRIPT)
            self._scripts = _Scripts(*(str(self._client.script_load(text)) for text in texts))
        return self._scripts

    def _offer(
        self, vehicles: Mapping[str, Offer], known: Mapping[Subject, Encoded], scripts: _Scripts
    ) -> list[Any]:
        commands: list[bytes] = []
        offers = iter(vehicles.items())
        while some := list(islice(offers, _KEYS_A_CALL)):
            keys = [live_key(vin) for vin, _ in some]
            values = [part for _, offer in some for part in (offer.oldest_ms, *offer.values)]
            commands.append(_pack(_CALL, scripts.newest, len(keys), *keys, *_SIGNAL_NAMES, *values))
        memories_left = iter(known.items())
        while few := list(islice(memories_left, _KEYS_A_CALL)):
            keys = [alert_state_key(*subject) for subject, _ in few]
            parts = [part for _, encoded in few for part in encoded]
            commands.append(_pack(_CALL, scripts.remember, len(keys), *keys, *parts))
        return self._exchange(commands)

    def _exchange(self, commands: Sequence[bytes]) -> list[Any]:
        """Send packed commands in one go; their answers, errors of the server among them.

        A pipeline of the client's does the same, but looks at each argument twice before it packs it, which
        takes as long as all else that is done with a vehicle.
        """
        answers: list[Any] = []
        pool = self._client.connection_pool
        connection: Any = pool.get_connection()
        try:
            connection.send_packed_command([b"".join(commands)])
            for _ in commands:
                try:
                    answers.append(connection.read_response())
                except exceptions.ResponseError as error:
                    answers.append(error)
        except BaseException:
            connection.disconnect()  # answers that nobody waits for would be taken for later ones
            raise
        finally:
            pool.release(connection)
        return answers


def _pack(*parts: Any) -> bytes:
    packed: bytes = pack_command(parts)
    return packed


def _octets(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Turn Redis' errors into sentences."""
    try:
        yield
    except exceptions.AuthenticationError as error:
        message = "Valkey refuses our password; set PISTON_VALKEY_PASSWORD"
        raise ConfigurationError(message) from error
    except _TRANSIENT as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> LiveStoreUnavailableError:
    message = f"Valkey does not take live state now ({type(error).__name__}); `piston status` shows it"
    return LiveStoreUnavailableError(message)

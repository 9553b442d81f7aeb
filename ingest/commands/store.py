"""The database side of a gateway's commands: one connection, used from one thread, opened anew when it broke.

A gateway talks to it in turns (`exchange`): what happened in its sessions goes in, what is to be sent comes
out. Each step of a turn is a transaction of its own and may be repeated without harm, so a turn that broke
off is simply played again. What is claimed stands in `device.commands.v1` before the claim commits, so what a
device is told is on record first (docs/decisions/0010).

Between turns the connection listens, so that a command that somebody queues is seen without asking the table.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

import psycopg

from ingest.commands import repository
from ingest.commands.answers import Answer
from ingest.commands.models import Command, CommandStatus
from ingest.commands.repository import CHANNEL, Connection
from ingest.commands.sending import build_sending
from ingest.commands.version import asks_version, parse_version
from ingest.registry.repository import connect
from ingest.stream.publisher import DurablePublisher, UndeliveredError
from telematics.errors import UnavailableError
from telematics.settings import Settings

_DELIVERY_S: Final = 5.0
"""Kafka's time for what is claimed: a turn that waits holds up the answers of the next."""


@dataclass(slots=True)
class Turn:
    """What happened in the sessions of a gateway since the last turn."""

    arrived: set[str] = field(default_factory=set)
    """IMEIs that logged in."""
    answers: list[Answer] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    """Sessions that ended with a command out."""
    unwritten: dict[UUID, str] = field(default_factory=dict)
    """Commands that were claimed and not written → the session they were claimed for."""
    ready: dict[str, str] = field(default_factory=dict)
    """IMEI → session that may write now."""
    is_sweep: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the sessions of a gateway have to do."""

    pending: frozenset[str] = frozenset()
    """IMEIs for which something may wait: those that arrived or were notified about."""
    claimed: tuple[tuple[str, Command], ...] = ()
    """Session and the command that it is to write."""
    is_fresh: bool = False
    """The connection is new: whatever was notified before it was not heard."""


class CommandStore(Protocol):
    """The role; called in a thread, one call at a time."""

    def exchange(self, turn: Turn) -> Outcome:
        """Play one turn.

        Raises:
            UnavailableError: the database does not answer; the same turn may be played again.
        """

    def close(self) -> None:
        """Let go of the connection."""


class PostgresCommandStore:
    """A `CommandStore` over `device_commands`."""

    def __init__(self, settings: Settings, delivery_s: float = _DELIVERY_S) -> None:
        """A store; `delivery_s` is Kafka's time to confirm what is claimed, in seconds."""
        self._settings = settings
        self._connection: Connection | None = None
        self._publisher = DurablePublisher(settings.kafka_bootstrap, "commands", delivery_s)

    def exchange(self, turn: Turn) -> Outcome:
        """Play one turn.

        Raises:
            UnavailableError: the database does not answer; the same turn may be played again.
        """
        is_fresh = self._connection is None
        try:
            connection = self._connection = self._connection or self._open()
            self._settle(connection, turn)
            notified = {notice.payload for notice in connection.notifies(timeout=0)}
            pending = notified | self._pending(connection, turn.arrived)
            claimed: list[tuple[str, Command]] = []
            if turn.ready:
                with connection.transaction():
                    claimed = self._claim(connection, turn)
        except (psycopg.Error, UndeliveredError) as error:
            # Whatever it is, it says nothing about a command: the turn is played again. On a new connection,
            # since nobody else knows what this one was notified about.
            self._disconnect()
            message = f"the commands of devices cannot be read now: {type(error).__name__}"
            raise UnavailableError(message) from error
        return Outcome(frozenset(pending), tuple(claimed), is_fresh)

    def close(self) -> None:
        """Let go of the connections."""
        self._publisher.close()
        self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _open(self) -> Connection:
        connection = connect(self._settings, "gateway-commands")
        connection.autocommit = True
        connection.execute("set statement_timeout = '5s'")
        connection.execute(f"listen {CHANNEL}")
        return connection

    def _claim(self, connection: Connection, turn: Turn) -> list[tuple[str, Command]]:
        claimed = repository.claim(connection, list(turn.ready.items()))
        if claimed:
            reads = [repository.read_command(connection, command.command_id) for _, command in claimed]
            self._publisher.publish([build_sending(read) for read in reads])
        return claimed

    def _settle(self, connection: Connection, turn: Turn) -> None:
        for answer in turn.answers:
            with connection.transaction():
                self._finish(connection, answer)
        with connection.transaction():
            if turn.unwritten:
                repository.take_back(connection, turn.unwritten)
            if turn.lost:
                repository.release(connection, turn.lost)
        if turn.is_sweep:
            with connection.transaction():
                repository.sweep(connection, self._settings.command_answer_timeout_s)

    def _pending(self, connection: Connection, arrived: Collection[str]) -> set[str]:
        if not arrived:
            return set()
        if self._settings.ask_version:
            repository.ask_versions(connection, arrived)
        return repository.pending_imeis(connection, arrived)

    @staticmethod
    def _finish(connection: Connection, answer: Answer) -> None:
        command = answer.command
        repository.finish(connection, command.command_id, answer.status, answer.text)
        if answer.status is CommandStatus.ANSWERED and asks_version(command.text):
            version = parse_version(answer.text)
            if version is not None:
                repository.keep_version(connection, command.imei, version)

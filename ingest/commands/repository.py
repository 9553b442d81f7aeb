"""SQL of `device_commands`; every statement about commands stands here.

Functions take an open psycopg connection and never commit. Whatever makes a command claimable also notifies
the channel `CHANNEL` with the IMEI, so that the gateway that holds the device's session looks at once.
`ENQUEUE` and `READ` are for the partner API, too, whose connections are asynchronous.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from ingest.codec8.records import CodecId
from ingest.commands.models import (
    MAX_ATTEMPTS,
    Command,
    CommandRead,
    CommandStatus,
    NewCommand,
)
from ingest.commands.version import DeviceVersion
from ingest.registry.ranges import TEST_IMEI_PREFIX
from telematics.errors import NotFoundError

Connection = psycopg.Connection[TupleRow]

CHANNEL: Final = "piston_device_commands"

_CODECS: Final = {12: CodecId.CODEC_12, 14: CodecId.CODEC_14}
_NUMBERS: Final = {codec: number for number, codec in _CODECS.items()}
_IDENTIFICATION_DAYS: Final = 365
READ: Final = """
    select command_id, imei, codec, text,
           case when status = 'queued' and expires_at <= now() then 'expired' else status end,
           requested_by, created_at, expires_at, sent_at, answered_at, answer, attempts
    from device_commands
"""


ENQUEUE: Final = """
    with queued as (
        insert into device_commands (imei, codec, text, requested_by, expires_at)
        select imei, %s, %s, %s, now() + make_interval(secs => %s)
        from devices where imei = %s and status = 'active'
        returning command_id, imei
    )
    select command_id, pg_notify(%s, imei) from queued
"""
"""Queues a command and wakes the gateways, if the device is in service; see `enqueue_parameters`."""


def enqueue_parameters(command: NewCommand) -> tuple[object, ...]:
    """The parameters of `ENQUEUE`."""
    return (
        _NUMBERS[command.codec],
        command.text,
        command.requested_by,
        command.lifetime_s,
        command.imei,
        CHANNEL,
    )


def enqueue(connection: Connection, command: NewCommand) -> UUID:
    """Queue a command, durably once the caller commits; returns its id.

    Raises:
        NotFoundError: the device is not registered, or retired.
    """
    row = connection.execute(ENQUEUE, enqueue_parameters(command)).fetchone()
    if row is None:
        message = "no active device has this IMEI; see `piston device list`"
        raise NotFoundError(message)
    command_id: UUID = row[0]
    return command_id


def read_command(connection: Connection, command_id: UUID) -> CommandRead:
    """One command.

    Raises:
        NotFoundError: there is none with this id.
    """
    row = connection.execute(f"{READ} where command_id = %s", (command_id,)).fetchone()
    if row is None:
        message = "no command has this id; see `piston device commands`"
        raise NotFoundError(message)
    return command_read(row)


def list_commands(
    connection: Connection, imei: str | None = None, *, only_open: bool = False, limit: int = 100
) -> list[CommandRead]:
    """The newest commands first, of one device or of all."""
    rows = connection.execute(
        f"""
        {READ}
        where (%(imei)s::text is null or imei = %(imei)s)
          and (not %(only_open)s or status = 'sent' or (status = 'queued' and expires_at > now()))
        order by created_at desc, command_id
        limit %(limit)s
        """,
        {"imei": imei, "only_open": only_open, "limit": limit},
    ).fetchall()
    return [command_read(row) for row in rows]


def pending_imeis(connection: Connection, imeis: Collection[str]) -> set[str]:
    """Those of these devices for which a command waits."""
    rows = connection.execute(
        """
        select distinct imei from device_commands
        where status = 'queued' and expires_at > now() and imei = any(%s)
        """,
        (list(imeis),),
    )
    return {imei for (imei,) in rows}


def ask_versions(connection: Connection, imeis: Collection[str]) -> None:
    """Queue `getver` for those of these devices that never were asked and never said what they are.

    Recorded and simulated devices have no firmware that could answer.
    """
    connection.execute(
        """
        insert into device_commands (imei, text, requested_by, expires_at)
        select imei, 'getver', 'gateway', now() + make_interval(days => %s)
        from devices
        where imei = any(%s) and imei not like %s and status = 'active' and identified_at is null
        on conflict (imei) where requested_by = 'gateway' do nothing
        """,
        (_IDENTIFICATION_DAYS, list(imeis), f"{TEST_IMEI_PREFIX}%"),
    )


def claim(connection: Connection, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, Command]]:
    """Take the oldest waiting command of each device that has none out: it counts as sent from now on.

    Several gateways may ask for the same device at once: its row is locked, and whoever comes second gets
    nothing. Two statements, because the second has to see what another gateway committed before the lock.

    Args:
        connection: in a transaction of its own.
        wanted: IMEI and the session that is ready to write, each IMEI once.

    Returns:
        The session and its command.
    """
    locked = connection.execute(
        "select imei from devices where imei = any(%s) for no key update skip locked",
        ([imei for imei, _ in wanted],),
    ).fetchall()
    owners = dict(wanted)
    imeis = [imei for (imei,) in locked]
    rows = connection.execute(
        """
        update device_commands as c
        set status = 'sent', sent_at = clock_timestamp(), session_owner = w.owner, attempts = c.attempts + 1
        from unnest(%s::text[], %s::text[]) as w (imei, owner)
        where c.command_id = (
                select q.command_id from device_commands as q
                where q.imei = w.imei and q.status = 'queued' and q.expires_at > now()
                order by q.created_at, q.command_id
                limit 1
            )
          and not exists (select from device_commands as o where o.imei = w.imei and o.status = 'sent')
        returning w.owner, c.command_id, c.imei, c.codec, c.text
        """,
        (imeis, [owners[imei] for imei in imeis]),
    ).fetchall()
    return [
        (owner, Command(command_id, imei, _CODECS[codec], text))
        for owner, command_id, imei, codec, text in rows
    ]


def finish(connection: Connection, command_id: UUID, status: CommandStatus, text: str) -> bool:
    """Note the end of a command, whoever sent it; False if it had ended before."""
    row = connection.execute(
        """
        with finished as (
            update device_commands
            set status = %s, answer = %s,
                answered_at = case when %s = 'answered' then clock_timestamp() end
            where command_id = %s and status <> 'answered'
            returning imei
        )
        select pg_notify(%s, imei) from finished
        """,
        (status.value, text, status.value, command_id, CHANNEL),
    ).fetchone()
    return row is not None


def keep_version(connection: Connection, imei: str, version: DeviceVersion) -> None:
    """Keep what a device said it is; what it did not say stays as it was."""
    connection.execute(
        """
        update devices
        set model = coalesce(%s, model), firmware = coalesce(%s, firmware), identified_at = now()
        where imei = %s
        """,
        (version.model, version.firmware, imei),
    )


def release(connection: Connection, owners: Collection[str]) -> int:
    """Queue again what these sessions sent without hearing the answer: they are gone. Returns how many."""
    return _requeue(connection, "session_owner = any(%s)", (list(owners),))


def take_back(connection: Connection, unwritten: Mapping[UUID, str]) -> None:
    """Queue again what was claimed and never written: that was no attempt.

    A command that meanwhile went out by another session, of whatever gateway, is that session's.

    Args:
        connection: in a transaction.
        unwritten: command → the session that it was claimed for.
    """
    connection.execute(
        """
        with returned as (
            update device_commands as c
            set status = 'queued', attempts = c.attempts - 1, session_owner = null
            from unnest(%s::uuid[], %s::text[]) as u (command_id, owner)
            where c.command_id = u.command_id and c.session_owner = u.owner and c.status = 'sent'
            returning c.imei
        )
        select pg_notify(%s, imei) from returned
        """,
        (list(unwritten), list(unwritten.values()), CHANNEL),
    )


def sweep(connection: Connection, answer_timeout_s: float) -> int:
    """Expire what is too old, and queue again what nobody answered, however its gateway ended.

    Returns:
        How many commands changed.
    """
    expired = connection.execute(
        """
        update device_commands set status = 'expired'
        where command_id in (
            select command_id from device_commands
            where status = 'queued' and expires_at <= now()
            limit 1000 for update skip locked
        )
        """
    ).rowcount
    late = "sent_at < clock_timestamp() - make_interval(secs => %s)"
    return expired + _requeue(connection, late, (answer_timeout_s,))


def _requeue(connection: Connection, which: str, parameters: tuple[object, ...]) -> int:
    rows = connection.execute(
        f"""
        with late as (
            select command_id from device_commands
            where status = 'sent' and {which}
            for update skip locked
        ), changed as (
            update device_commands as c
            set status = case
                    when c.expires_at <= now() then 'expired'
                    when c.attempts >= %s then 'failed'
                    else 'queued' end,
                answer = case
                    when c.expires_at > now() and c.attempts >= %s
                    then 'sent ' || c.attempts || ' times, never answered' end
            from late where c.command_id = late.command_id
            returning c.imei
        )
        select pg_notify(%s, imei) from changed
        """,
        (*parameters, MAX_ATTEMPTS, MAX_ATTEMPTS, CHANNEL),
    ).fetchall()
    return len(rows)


def command_read(row: TupleRow) -> CommandRead:
    """A row of `READ`."""
    command_id, imei, codec, text, status, *rest = row
    return CommandRead(command_id, imei, _CODECS[codec], text, CommandStatus(status), *rest)

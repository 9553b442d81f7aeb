"""SQL of dead letters. Functions take an open psycopg connection and never commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingest.dead_letters.models import DeadLetter, Status
from ingest.registry.repository import Connection, write_audit

_COLUMNS: Final = """
    dead_letter_id, topic, partition, message_offset, device_id, transport, received_at, reason, detail,
    message, status, created_at
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; what is None does not matter."""

    status: Status | None = Status.OPEN
    reason: str | None = None
    device_id: str | None = None
    ids: Sequence[int] | None = None


def find(connection: Connection, selection: Selection, limit: int) -> list[DeadLetter]:
    """The oldest letters of a selection, oldest first."""
    where, parameters = _where(selection)
    rows = connection.execute(
        f"select {_COLUMNS} from dead_letters where {where} order by dead_letter_id limit %(limit)s",
        {**parameters, "limit": limit},
    ).fetchall()
    return [_letter(row) for row in rows]


def find_ids(connection: Connection, selection: Selection) -> list[int]:
    """The ids of a selection, oldest first."""
    where, parameters = _where(selection)
    rows = connection.execute(
        f"select dead_letter_id from dead_letters where {where} order by dead_letter_id", parameters
    ).fetchall()
    return [int(number) for (number,) in rows]


def count(connection: Connection, selection: Selection) -> int:
    """How many letters a selection holds."""
    where, parameters = _where(selection)
    row = connection.execute(f"select count(*) from dead_letters where {where}", parameters).fetchone()
    return int(row[0]) if row else 0


def take_open(connection: Connection, dead_letter_id: int) -> DeadLetter | None:
    """An open letter, locked until the transaction ends; None if it is not open or somebody else has it."""
    row = connection.execute(
        f"""
        select {_COLUMNS} from dead_letters where dead_letter_id = %s and status = 'open'
        for update skip locked
        """,
        (dead_letter_id,),
    ).fetchone()
    return None if row is None else _letter(row)


def settle(
    connection: Connection, letter: DeadLetter, status: Status, actor: str, detail: dict[str, object]
) -> None:
    """Say what became of a letter, in the table and in the audit."""
    connection.execute(
        "update dead_letters set status = %s where dead_letter_id = %s", (status.value, letter.dead_letter_id)
    )
    action = {Status.REPLAYED: "dead_letter.replay", Status.DROPPED: "dead_letter.drop"}[status]
    place = {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset}
    entry: dict[str, object] = {**place, "reason": letter.reason, **detail}
    write_audit(connection, actor, action, [(str(letter.dead_letter_id), entry)])


def _where(selection: Selection) -> tuple[str, dict[str, Any]]:
    clauses, parameters = ["true"], dict[str, Any]()
    if selection.status is not None:
        clauses.append("status = %(status)s")
        parameters["status"] = selection.status.value
    if selection.reason is not None:
        clauses.append("reason = %(reason)s")
        parameters["reason"] = selection.reason
    if selection.device_id is not None:
        clauses.append("device_id = %(device_id)s")
        parameters["device_id"] = selection.device_id
    if selection.ids is not None:
        clauses.append("dead_letter_id = any(%(ids)s)")
        parameters["ids"] = list(selection.ids)
    return " and ".join(clauses), parameters


def _letter(row: Sequence[Any]) -> DeadLetter:
    number, topic, partition, offset, device_id, transport, received_at, reason, detail = row[:9]
    message, status, created_at = row[9:]
    return DeadLetter(
        dead_letter_id=number,
        topic=topic,
        partition=partition,
        offset=offset,
        device_id=device_id,
        transport=transport,
        received_at=received_at,
        reason=reason,
        detail=detail,
        message=bytes(message),
        status=Status(status),
        created_at=created_at,
    )

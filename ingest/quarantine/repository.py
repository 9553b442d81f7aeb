"""How far each device's quarantine was settled: rows of `stream_offsets` in a group of its own.

Below the offset every frame of the device was replayed or dropped. Offsets count within one incarnation of
the topic; those of another one are as good as none. Functions take an open psycopg connection and never
commit.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from ingest.quarantine.topic import Incarnation
from ingest.registry.repository import Connection
from telematics.errors import ConflictError
from telematics.names import Topic

_GROUP_PREFIX: Final = "piston.quarantine:"

_READ: Final = """
    select consumer_group, partition, next_offset from stream_offsets
    where consumer_group like %s and topic = %s and cluster_id = %s and topic_id = %s
"""
# Locks the row in every case, so that of two replays at once the second waits here and then sees the first's.
_TAKE: Final = """
    insert into stream_offsets (consumer_group, topic, partition, cluster_id, topic_id, next_offset)
    values (%(group)s, %(topic)s, %(partition)s, %(cluster_id)s, %(topic_id)s, %(expected)s)
    on conflict (consumer_group, topic, partition) do update
        set cluster_id = excluded.cluster_id, topic_id = excluded.topic_id, next_offset = case
            when (stream_offsets.cluster_id, stream_offsets.topic_id)
                = (excluded.cluster_id, excluded.topic_id) then stream_offsets.next_offset
            else excluded.next_offset end
    returning next_offset
"""
_SETTLE: Final = """
    update stream_offsets set next_offset = %s, updated_at = now()
    where consumer_group = %s and topic = %s and partition = %s
"""

Settled = Mapping[int, int]
"""Partition → first offset that is not settled."""


def read_settled(connection: Connection, incarnation: Incarnation) -> dict[str, dict[int, int]]:
    """How far every device was settled, by IMEI and partition."""
    rows = connection.execute(_READ, (f"{_GROUP_PREFIX}%", Topic.QUARANTINE, *incarnation)).fetchall()
    settled: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for group, partition, next_offset in rows:
        settled[group.removeprefix(_GROUP_PREFIX)][partition] = next_offset
    return dict(settled)


def take(
    connection: Connection, imei: str, incarnation: Incarnation, partition: int, expected: int | None
) -> None:
    """Lock a device's place until the transaction ends.

    Args:
        connection: in a transaction.
        imei: the device.
        incarnation: of the topic.
        partition: of the topic.
        expected: how far it was settled when it was read; None: not at all.

    Raises:
        ConflictError: somebody else settled frames meanwhile.
    """
    row = connection.execute(
        _TAKE,
        {
            "group": _GROUP_PREFIX + imei,
            "topic": Topic.QUARANTINE,
            "partition": partition,
            "cluster_id": incarnation.cluster_id,
            "topic_id": incarnation.topic_id,
            "expected": expected or 0,
        },
    ).fetchone()
    if row is None or row[0] != (expected or 0):
        message = "somebody else settles this device's frames just now; see `piston device quarantine list`"
        raise ConflictError(message)


def settle(connection: Connection, imei: str, partition: int, next_offset: int) -> None:
    """Say that all frames of a device below an offset are settled; after `take`, in its transaction."""
    connection.execute(_SETTLE, (next_offset, _GROUP_PREFIX + imei, Topic.QUARANTINE, partition))

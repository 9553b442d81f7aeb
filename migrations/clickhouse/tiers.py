"""When days of `analytics.telemetry` grow cold: a TTL that follows `PISTON_WARM_RETENTION_DAYS`.

Past it a day is recompressed and moved to the second volume. No TTL ever deletes: a row already past a DELETE
TTL would vanish at its insert without an error, and days leave ClickHouse through the archive alone.
"""

from typing import Final

from clickhouse_connect.driver.client import Client

from telematics.names import ANALYTICS_DATABASE, COLD_VOLUME

COLD_CODEC: Final = "ZSTD(12)"
"""In place of `Default` in the columns' codecs; docs/warehouse.md has what was measured."""


def cold_ttl(warm_days: int) -> str:
    """The TTL clause, spelled as ClickHouse spells it in `create_table_query`."""
    age = f"toDateTime(time) + toIntervalDay({warm_days})"
    return f"{age} RECOMPRESS CODEC({COLD_CODEC}), {age} TO VOLUME '{COLD_VOLUME}'"


def follow_retention(client: Client, warm_days: int) -> bool:
    """Give the table the TTL for this retention; returns whether it had another one.

    Days that are past a shortened retention move in the background, those that came back under a longer one
    stay where they are until they are loaded again.
    """
    wanted = cold_ttl(warm_days)
    found = client.query(
        "select create_table_query from system.tables where database = {database:String} "
        "and name = 'telemetry'",
        parameters={"database": ANALYTICS_DATABASE},
    ).result_rows
    # the whole clause: another one, such as a DELETE, must not stand beside it
    if f" TTL {wanted} SETTINGS " in " ".join(found[0][0].split()):
        return False
    client.command(f"alter table {ANALYTICS_DATABASE}.telemetry modify ttl {wanted}")
    return True

"""A partner of the API with consent for some vehicles."""

from collections.abc import Sequence
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from serving.partners.service import Credentials, PartnerService
from serving.scopes import PartnerKind, Scope
from telematics.settings import Settings

_PURPOSE: Final = "benchmark"


async def make_partner(settings: Settings, vins: Sequence[str], *, days_ago: int) -> Credentials:
    """A partner who may read everything of these registered vehicles, since so many days."""
    scopes = [scope for scope in Scope if scope not in (Scope.TELEMETRY_WRITE, Scope.DEVICE_COMMAND)]
    async with await AsyncConnection.connect(settings.timescale_dsn(), row_factory=dict_row) as connection:
        made = await PartnerService(connection, actor=_PURPOSE).create(
            f"Benchmark, {len(vins)} grants {days_ago} days ago", PartnerKind.DEALER, scopes=scopes
        )
        await connection.execute(
            "insert into grants (client_id, vin, scopes, purpose, granted_at)"
            " select %s, unnest(%s::text[]), %s, %s, now() - make_interval(days => %s)",
            [made.partner.client_id, [*vins], sorted(scopes), _PURPOSE, days_ago],
        )
        await connection.commit()
        await connection.execute("analyze grants")
    return made

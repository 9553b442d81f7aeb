"""Which loaded days changed since."""

from datetime import date

from telematics.settings import Settings
from warehouse import clients


def dirty_days(settings: Settings, first: date | None = None, until: date | None = None) -> list[date]:
    """Days that were loaded and that the sink has written to since, oldest first.

    Days never loaded are not dirty: the first load of a day is the schedule's or a backfill's business.
    Archived days whose file waits to be restored, or is damaged, are left out: no load could reach them.

    Args:
        settings: where TimescaleDB is.
        first: leave out days before this one.
        until: leave out this day and later ones.

    Raises:
        UnavailableError: TimescaleDB does not answer.
    """
    with clients.timescale(settings) as connection:
        rows = connection.execute(
            """
            select h.day from hot_days as h join day_loads as l using (day)
            left join day_archives as a on a.day = l.day and a.version = l.archive_version
            left join archive_restores as r on r.day = l.day
            where h.version > l.hot_version
              and (l.warm_dropped_at is null or (a.damage is null
                   and (r.day is null or (r.restored_until is not null and r.restored_until > now()))))
              and h.day >= coalesce(%s::date, '-infinity') and h.day < coalesce(%s::date, 'infinity')
            order by h.day
            """,
            [first, until],
        ).fetchall()
    return [day for (day,) in rows]

"""Days of runs, without Dagster doing anything."""

from datetime import date, timedelta

from orchestration.partitions import DAYS, days_of_tags, range_tags, ranges_of
from telematics.settings import Settings


def test_a_range_survives_the_tags():
    first, until = date(2026, 1, 5), date(2026, 2, 1)
    tags = range_tags(first, until)
    assert tags["dagster/asset_partition_range_end"] == "2026-01-31", "Dagster's ranges include their end"
    assert days_of_tags(tags) == (first, until)


def test_one_partition_is_one_day():
    assert days_of_tags({"dagster/partition": "2026-01-05"}) == (date(2026, 1, 5), date(2026, 1, 6))


def test_a_run_without_partitions_is_about_no_days():
    assert days_of_tags({"dagster/schedule_name": "hot_retention_schedule"}) is None


def test_contiguous_days_become_one_range():
    day = date(2026, 2, 27)
    days = [day + timedelta(n) for n in (5, 0, 1, 2, 2, 9)]
    assert ranges_of(days) == [
        (date(2026, 2, 27), date(2026, 3, 2)),
        (date(2026, 3, 4), date(2026, 3, 5)),
        (date(2026, 3, 8), date(2026, 3, 9)),
    ]
    assert ranges_of([]) == []


def test_today_is_a_partition_and_the_first_day_is_the_setting():
    from telematics.clock import utc_today

    assert DAYS.get_first_partition_key() == Settings().first_day.isoformat()
    # asked before and after, because midnight may pass between
    assert DAYS.get_last_partition_key() in {
        utc_today().isoformat(),
        (utc_today() - timedelta(1)).isoformat(),
    }
    assert not DAYS.has_partition_key((utc_today() + timedelta(1)).isoformat())

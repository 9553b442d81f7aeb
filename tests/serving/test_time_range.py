from datetime import UTC, datetime, timedelta

import pytest

from serving.problems.errors import InvalidParametersError
from serving.time_range import checked_range, parse_moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-12-01", datetime(2025, 12, 1, tzinfo=UTC)),
        ("2025-12-01T10:20:30Z", datetime(2025, 12, 1, 10, 20, 30, tzinfo=UTC)),
        ("2025-12-01t10:20:30z", datetime(2025, 12, 1, 10, 20, 30, tzinfo=UTC)),
        ("2025-12-01T10:20:30.250+02:00", datetime(2025, 12, 1, 8, 20, 30, 250_000, tzinfo=UTC)),
        ("2025-12-31T23:30:00-01:00", datetime(2026, 1, 1, 0, 30, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2025-12-01T10:20:30.123456789Z", datetime(2025, 12, 1, 10, 20, 30, 123_456, tzinfo=UTC)),
    ],
)
def test_dates_and_rfc3339_name_a_utc_moment(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2025-12-01T10:20:30", "offset"),
        ("2025-12-01 10:20", "offset"),
        ("2025-12-01T10:20:30 02:00", "%2B"),
        ("2025-02-29", "calendar"),
        ("2025-12-01T24:61:00Z", "calendar"),
        ("2025-12-01T10:20:30+25:00", "calendar"),
        ("2025-12-01T10:20:60Z", "calendar"),
        ("1999-12-31", "year"),
        ("0001-01-01T00:00:00+14:00", "year"),
        ("9999-12-31T23:59:59-14:00", "year"),
        ("2100-01-01", "year"),
        ("", "RFC 3339"),
        ("now", "RFC 3339"),
        ("1764547200", "RFC 3339"),
        ("20251201", "RFC 3339"),
        ("2025-W49-1", "RFC 3339"),
        ("2025-12-01\n", "RFC 3339"),
        ("２０２５-12-01", "RFC 3339"),
        ("2025-12-01T10:20:30Z\0", "RFC 3339"),
    ],
)
def test_everything_else_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_moment(text)


def test_a_range_is_neither_empty_nor_reversed_nor_endless() -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    day = timedelta(days=1)
    assert checked_range(start, start + day, longest=day).end == start + day
    for end in (start, start - day, start + day + timedelta(microseconds=1)):
        with pytest.raises(InvalidParametersError) as refused:
            checked_range(start, end, longest=day)
        assert [error.pointer for error in refused.value.errors] == ["#/query/from"]

"""Times as partners write them: RFC 3339, bare dates as 00:00Z, ranges half-open."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from serving.problems.errors import FieldProblem, InvalidParametersError

FIRST_YEAR = 2000
"""Trackers report nothing older that is true; the sink refuses it as well."""
END_YEAR = 2100

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_NAIVE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?", re.ASCII)
_UNESCAPED_PLUS = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)? \d{2}:\d{2}", re.ASCII)


def parse_moment(text: str) -> datetime:
    """The UTC moment that a date (`2025-12-01`) or an RFC 3339 date-time names.

    Digits of a second beyond the sixth are cut off.

    Raises:
        ValueError: the text is neither, has no offset, names no day of the calendar, or lies outside the
            years 2000 to 2099.
    """
    if _DATE.fullmatch(text):
        text += "T00:00:00Z"
    elif not _DATE_TIME.fullmatch(text):
        raise ValueError(_why_malformed(text))
    if not FIRST_YEAR <= int(text[:4]) < END_YEAR:
        message = f"the year must be from {FIRST_YEAR} to {END_YEAR - 1}"
        raise ValueError(message)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except ValueError:
        message = "there is no such moment in the calendar"
        raise ValueError(message) from None


def _why_malformed(text: str) -> str:
    if _UNESCAPED_PLUS.fullmatch(text):
        return "the + of an offset must be written as %2B in an address"
    if _NAIVE.fullmatch(text):
        return "a time needs its offset, or Z (RFC 3339)"
    return "not an RFC 3339 date-time such as 2025-12-01T00:00:00Z, nor a date such as 2025-12-01"


def _moment(value: object) -> object:
    return parse_moment(value) if isinstance(value, str) else value


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
    ),
]
"""A query parameter that names a moment."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open: `start` belongs to it, `end` does not. Both aware, in UTC."""

    start: datetime
    end: datetime


def checked_range(
    start: datetime, end: datetime, *, longest: timedelta, pointer: str = "#/query/from"
) -> TimeRange:
    """The range [start, end).

    Raises:
        InvalidParametersError: it is empty, reversed, or longer than `longest`.
    """
    if start >= end:
        message = "`from` must be earlier than `to` (which is now where it is left out)"
        raise InvalidParametersError(FieldProblem(pointer, message))
    if end - start > longest:
        message = f"the range is longer than the {longest.days} days that one query may span"
        raise InvalidParametersError(FieldProblem(pointer, message))
    return TimeRange(start, end)

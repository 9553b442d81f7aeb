"""Exports: a whole range as NDJSON, a page in memory at a time.

Every line is an object. A record's has `time`. After each page follows `{"next": CURSOR}`, from which a
client whose connection broke goes on. The last line alone has `end`: `true` when the export is whole, `false`
with the `error` that ended it. Without such a line an export is cut.

The next page is read when the one before has left: a slow client slows the reading, one that is gone ends it.
Token and consent are asked for again with every page.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, NamedTuple, Protocol

import orjson
import structlog

from serving.problems.errors import ProblemError
from serving.problems.responses import problem_document, unavailable_document
from telematics.errors import UnavailableError

MEDIA_TYPE: Final = "application/x-ndjson"
PAGE_RECORDS: Final = 2000
"""Under 1 MB a page; larger ones take memory and are no faster."""

_log = structlog.get_logger("serving.export")


class ExportPage(NamedTuple):
    """A page of an export."""

    records: list[dict[str, Any]]
    next: str | None
    """Cursor of the next page; None on the last."""


class ExportSource(Protocol):
    """What is exported."""

    async def page(self, cursor: str) -> ExportPage:
        """The page after a cursor, if token and consent still allow it.

        Raises:
            ProblemError: they do not.
            UnavailableError: a store does not answer.
        """

    def summary(self) -> dict[str, Any]:
        """What the last line says of the export so far."""


async def export_lines(source: ExportSource, first: ExportPage, request_id: str) -> AsyncIterator[bytes]:
    """The lines of an export, page by page.

    Args:
        source: what is exported.
        first: its first page, read while errors could still become an answer of their own.
        request_id: for the log and the problem document.
    """
    page, count = first, 0
    while True:
        count += len(page.records)
        told = {"records": count, **source.summary()}
        if page.next is None:
            yield _lines([*page.records, {"end": True, **told, "next": None}])
            return
        yield _lines([*page.records, {"next": page.next}])
        try:
            page = await source.page(page.next)
        except (ProblemError, UnavailableError) as error:
            problem = _problem(error, request_id)
            _log.warning("export_ended", request_id=request_id, records=count, problem=problem["type"])
            told = {"records": count, **source.summary()}
            yield _lines([{"end": False, "error": problem, **told, "next": page.next}])
            return


def _lines(objects: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in objects)


def _problem(error: ProblemError | UnavailableError, request_id: str) -> dict[str, Any]:
    if isinstance(error, ProblemError):
        return problem_document(
            error.status, request_id=request_id, slug=error.slug, title=error.title, detail=error.detail
        )
    _log.warning("store_unavailable", request_id=request_id, reason=str(error))
    return unavailable_document(request_id)


def wants_export(accept: str | None) -> bool:
    """Whether an Accept header prefers NDJSON to JSON (RFC 9110 section 12.5.1); JSON in doubt."""
    if accept is None:
        return False
    weights: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        weights[name] = _weight(parameters)
    wildcard = weights.get("application/*", weights.get("*/*", 0.0))
    lines, document = weights.get(MEDIA_TYPE, 0.0), weights.get("application/json", wildcard)
    return lines > 0 and lines >= document


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0

"""The manifest beside an archived file: what the file holds, so that anybody can check it without us."""

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from importlib.metadata import version
from typing import Any, Self

from telematics.clock import epoch_ms
from warehouse.archive import layout
from warehouse.archive.errors import DamagedError
from warehouse.archive.parquet import FileFacts
from warehouse.archive.sums import ColumnSums, ContentSums, moment

_FORMAT = "piston.archive.day/1"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of one day."""

    day: date
    version: int
    key: str
    """Of the Parquet file, below the archive's URL."""
    storage_class: str
    created_at: datetime
    facts: FileFacts
    tool_version: str

    def to_json(self) -> bytes:
        """The manifest as it is stored."""
        content = self.facts.content
        body = {
            "format": _FORMAT,
            "schema_version": layout.SCHEMA_VERSION,
            "day": self.day.isoformat(),
            "version": self.version,
            "key": self.key,
            "rows": content.row_count,
            "min_time": moment(content.min_time_ms),
            "max_time": moment(content.max_time_ms),
            "bytes": self.facts.byte_count,
            "sha256": self.facts.sha256,
            "footer_bytes": self.facts.footer_byte_count,
            "footer_sha256": self.facts.footer_sha256,
            "storage_class": self.storage_class,
            "created_at": self.created_at.isoformat(),
            "tool_version": self.tool_version,
            "order": list(layout.ORDER),
            "derived": dict(self.facts.derived),
            "columns": {name: asdict(sums) for name, sums in content.columns.items()},
        }
        return (json.dumps(body, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes, key: str) -> Self:
        """A stored manifest.

        Raises:
            DamagedError: it is none.
        """
        try:
            body: dict[str, Any] = json.loads(text)
            if body["format"] != _FORMAT:
                message = f"{key}: format {body['format']!r} is not known to this release"
                raise DamagedError(message)
            content = ContentSums(
                body["rows"],
                _ms(body["min_time"]),
                _ms(body["max_time"]),
                {name: ColumnSums(**sums) for name, sums in body["columns"].items()},
            )
            facts = FileFacts(
                body["bytes"],
                body["sha256"],
                body["footer_bytes"],
                body["footer_sha256"],
                content,
                # files of schema version 1 leave nothing out
                dict(body.get("derived", {})),
            )
            return cls(
                day=date.fromisoformat(body["day"]),
                version=body["version"],
                key=body["key"],
                storage_class=body["storage_class"],
                created_at=datetime.fromisoformat(body["created_at"]),
                facts=facts,
                tool_version=body["tool_version"],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{key}: it is no manifest ({type(error).__name__})"
            raise DamagedError(message) from error


def make_manifest(day: date, number: int, storage_class: str, facts: FileFacts, now: datetime) -> Manifest:
    """The manifest of a file that was just written."""
    tool_version = f"piston {version('piston')}, pyarrow {version('pyarrow')}"
    key = layout.key_of(day, number, facts.sha256)
    return Manifest(day, number, key, storage_class, now, facts, tool_version)


def _ms(text: str | None) -> int | None:
    return None if text is None else epoch_ms(datetime.fromisoformat(text))

"""A file of a history from its bytes to rows that are judged, a batch at a time; the same for dry runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from warehouse.backfill.telemetry.batches import Batch, RowFile
from warehouse.backfill.telemetry.csv_rows import CsvFile
from warehouse.backfill.telemetry.fields import FIELDS, Kind
from warehouse.backfill.telemetry.mapping import DEFAULT_NULLS, FileMapping, TimeForm, own_mapping
from warehouse.backfill.telemetry.ndjson_rows import NdjsonFile
from warehouse.backfill.telemetry.parquet_rows import ParquetFile
from warehouse.backfill.telemetry.rejects import REASONS, Reason, Reject, Rejects, readable
from warehouse.backfill.telemetry.report import ColumnReport
from warehouse.backfill.telemetry.rows import Judged, Limits, judge
from warehouse.backfill.telemetry.sources import CSV, PARQUET, SourceFile
from warehouse.backfill.telemetry.vehicles import Vehicles


@dataclass(slots=True)
class FileReading:
    """Reads one file; counts and rejects are complete once `tables` is through."""

    file: SourceFile
    vehicles: Vehicles
    limits: Limits
    mapping: FileMapping | None
    """None: the file's columns have our names."""
    columns: ColumnReport
    row_count: int = 0
    rejects: Rejects = field(default_factory=Rejects)

    def tables(self, path: Path) -> Iterator[pa.Table]:
        """The good rows as they go into ClickHouse, a bounded number at a time."""
        opened = self._open(path)
        mapping = self.mapping or own_mapping(opened.names)
        if self._fits(opened, mapping):
            wanted = mapping.columns
            others = [name for name in opened.names if name not in wanted]
            kept = others if mapping.keeps_unknown else []
            self._note_columns(opened, mapping, others, kept)
            for batch in opened.batches([*wanted, *kept]):
                yield from self._judged(batch, mapping, kept)
        for reject in opened.rejects:
            self._set_aside(reject)

    def _open(self, path: Path) -> RowFile:
        suffix, codec = self.file.suffixes
        name, mapping = self.file.name, self.mapping
        if suffix in PARQUET:
            return ParquetFile(path, name)
        if suffix in CSV:
            return CsvFile(
                path,
                name,
                codec,
                delimiter=mapping.delimiter if mapping else None,
                nulls=mapping.nulls if mapping else DEFAULT_NULLS,
                numeric=_numeric(mapping),
            )
        return NdjsonFile(path, name, codec)

    def _fits(self, opened: RowFile, mapping: FileMapping) -> bool:
        """Whether there is anything to read; says why not."""
        if not opened.names:
            if not opened.rejects:
                self._set_aside(Reject(self.file.name, 0, Reason.EMPTY_FILE, ""))
            return False
        lacking = [name for name in mapping.needed if name not in opened.names]
        if not any(name in opened.names for name in (mapping.vin, mapping.device_id)):
            lacking.append(" or ".join(name for name in (mapping.vin, mapping.device_id) if name) or "vin")
        if len(set(opened.names)) < len(opened.names):
            twice = next(name for name in opened.names if opened.names.count(name) > 1)
            lacking = [f"{twice}, which stands there twice"]
        if lacking:
            hint = "" if self.mapping else "; name the file's own columns with --mapping"
            detail = readable(f"{', '.join(lacking)}{hint}")
            self._set_aside(Reject(self.file.name, 0, Reason.NO_COLUMN, detail))
        return not lacking

    def _note_columns(
        self, opened: RowFile, mapping: FileMapping, others: list[str], kept: list[str]
    ) -> None:
        report = self.columns
        report.mapped |= {
            value.target: value.column for value in mapping.values if value.column in opened.names
        }
        report.kept |= set(kept)
        report.ignored |= set(others) - set(kept) - mapping.ignored
        report.wanted |= set(mapping.columns)
        report.found |= set(mapping.columns) & set(opened.names)

    def _judged(self, batch: Batch, mapping: FileMapping, kept: list[str]) -> Iterator[pa.Table]:
        self.row_count += len(batch.numbers) + len(batch.rejects)
        for reject in batch.rejects:
            self._set_aside(reject)
        if not len(batch.numbers):
            return
        # one column of a later block may not have been there in the first
        there = [name for name in kept if name in batch.table.column_names]
        judged = judge(batch.table, mapping, self.vehicles, self.limits, there)
        self._count(batch, judged)
        self.columns.left_out += judged.left_out
        yield judged.good()

    def _count(self, batch: Batch, judged: Judged) -> None:
        for code in np.unique(judged.codes[judged.codes > 0]):
            reason = REASONS[int(code) - 1]
            places = np.flatnonzero(judged.codes == code)
            self.rejects.counts[self.file.name, reason] += len(places)
            for place in places:
                if not self.rejects.has_room(self.file.name, reason):
                    break
                column = judged.columns[judged.column[place]]
                self.rejects.keep(
                    Reject(
                        self.file.name,
                        int(batch.numbers[place]),
                        reason,
                        readable(column),
                        readable(batch.text_of(int(place))),
                    )
                )

    def _set_aside(self, reject: Reject) -> None:
        self.rejects.add(reject)


def _numeric(mapping: FileMapping | None) -> frozenset[str]:
    """Columns of a CSV file that are tried as numbers first."""
    kinds = (Kind.NUMBER, Kind.WHOLE)
    if mapping is None:
        return frozenset(name for name, field in FIELDS.items() if field.kind in kinds)
    found = {value.column for value in mapping.values if FIELDS[value.target].kind in kinds}
    for time in (mapping.time, mapping.received_at):
        if time is not None and time.form is TimeForm.SINCE:
            found.add(time.column)
        if time is not None and time.plus is not None:
            found.add(time.plus.column)
    # the same column may say what vehicle it is, where "7" and "7.0" are not the same text
    return frozenset(name for name in found if name not in (mapping.vin, mapping.device_id))

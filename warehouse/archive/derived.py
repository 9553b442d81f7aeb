"""Columns that a file has in a shorter form, from which readers make them bit by bit.

Measured numbers are digits of a conversion from the integers that a device sent (`integers`), the odometer in
miles is one from its metres (`miles`). In files of the VED cars they are 5.9 of 19.3 bytes a row. A file has
the shorter form of a column if for every row of the day it gives the very bits that ClickHouse holds, nulls
alike. One row with a value of its own, as a partner's, keeps the column as it is for the whole day, and no
other.

The file says so, and how to get the column, in the metadata of its footer (`KEY`). All readers of ours take
rows through `completed`, the only place where columns are made of archived ones.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import pyarrow as pa

from warehouse.archive.errors import DamagedError
from warehouse.archive.integers import Integers
from warehouse.archive.miles import Miles
from warehouse.steps import STEPS

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


class Rule(Protocol):
    """How a file says one column by others of the same row."""

    @property
    def name(self) -> str:
        """Of the column."""

    @property
    def words(self) -> str:
        """What the file says, a formula. Other words may be chosen, another rule needs another name."""

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """What the file has in the column's place."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the column is made of, in the file."""

    def kept(self, values: pa.Array) -> tuple[pa.Array, ...]:
        """The values as the file has them, by `fields`."""

    def value(self, rows: pa.Table | pa.RecordBatch) -> pa.Array | pa.ChunkedArray:
        """The column of rows that have `inputs`."""

    def can_be_made(self, schema: pa.Schema) -> bool:
        """Whether a file has `inputs`, as integers or text."""


KEY: Final = "piston.derived"
"""Entry of the footer's key-value metadata: a JSON object, column → formula.

Integers are multiplied as such and divided as 64-bit floating-point numbers; docs/warehouse.md says which
columns are rounded to 32 bits after that. Every file has it, so it is short."""

_RULES: Final[tuple[Rule, ...]] = (*(Integers(step) for step in STEPS), Miles())
RULES: Final[Mapping[str, Rule]] = {rule.name: rule for rule in _RULES}
"""By column. What a file says stays readable for ever: none is changed or removed."""


def rules_but(stated: Collection[str]) -> tuple[Rule, ...]:
    """The rules of a file that has to keep some columns as they are."""
    return tuple(rule for name, rule in RULES.items() if name not in stated)


def words(rules: Iterable[Rule]) -> dict[str, str]:
    """What a file of these rules says: column → formula."""
    return {rule.name: rule.words for rule in rules}


def stored_rows(rows: pa.Table, rules: Iterable[Rule]) -> pa.Table:
    """The rows as a file of these rules has them, to be compared by `differing`."""
    by_name = {rule.name: rule for rule in rules}
    fields: list[pa.Field] = []
    arrays: list[pa.Array | pa.ChunkedArray] = []
    for field in rows.schema:
        column = rows.column(field.name)
        if (rule := by_name.get(field.name)) is None:
            fields.append(field)
            arrays.append(column)
        else:
            fields += rule.fields
            arrays += rule.kept(_whole(column))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def differing(rows: pa.Table, stored: pa.Table, rules: Iterable[Rule]) -> list[str]:
    """The columns of the rules that readers would not get back as they are: every null, every bit."""
    return [
        rule.name for rule in rules if not _bits(rows.column(rule.name)).equals(_bits(rule.value(stored)))
    ]


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _bits(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Floating-point numbers as integers of the same bits: -0.0 is not 0.0, a NaN is itself."""
    return _whole(column).view(pa.int32() if column.type == pa.float32() else pa.int64())


def rules_of(schema: pa.Schema, metadata: Mapping[bytes, bytes] | None, key: str) -> tuple[Rule, ...]:
    """The rules by which a file says columns that it lacks; none for the files of other people.

    Args:
        schema: of the file.
        metadata: the key-value metadata of its footer.
        key: the file's, for messages.

    Raises:
        DamagedError: it leaves out what this release cannot derive.
    """
    try:
        said = json.loads((metadata or {}).get(KEY.encode(), b"{}")).keys() - set(schema.names)
    except (ValueError, AttributeError) as error:
        message = f"{key}: its metadata do not say which columns it leaves out"
        raise DamagedError(message) from error
    if unknown := sorted(said - RULES.keys()):
        message = (
            f"{key}: it leaves out {', '.join(unknown)[:200]}, which this release does not know how to derive"
        )
        raise DamagedError(message)
    return tuple(rule for name, rule in RULES.items() if name in said)


def names_of(schema: pa.Schema, rules: Sequence[Rule]) -> list[str]:
    """The columns that a file of these rules has for its readers."""
    kept = {field.name for rule in rules for field in rule.fields}
    return [*(name for name in schema.names if name not in kept), *(rule.name for rule in rules)]


def needed(names: Sequence[str], rules: Sequence[Rule]) -> list[str]:
    """The columns to read of a file of these rules, to give these."""
    inputs = {rule.name: rule.inputs for rule in rules}
    return list(dict.fromkeys(each for name in names for each in inputs.get(name, (name,))))


def completed(rows: Rows, names: Sequence[str], rules: Sequence[Rule]) -> Rows:
    """Rows of a file of these rules, read with `needed`: these columns, and nothing else."""
    if not rules:
        return rows
    for rule in rules:
        if rule.name in names:
            rows = rows.append_column(rule.name, rule.value(rows))
    return rows.select(list(names))

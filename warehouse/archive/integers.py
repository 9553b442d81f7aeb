"""A measured number as the integer of the device's steps, in Arrow: one column in the place of the other.

The steps are `warehouse.steps`'; ClickHouse reckons the same with `warehouse.stored`.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.steps import Step


@dataclass(frozen=True, slots=True)
class Integers:
    """How a file says a column of a step: `derived.Rule`."""

    step: Step

    @property
    def name(self) -> str:
        """Of the column that is said so."""
        return self.step.name

    @property
    def words(self) -> str:
        """The formula in the file's footer, of 64-bit numbers; see `derived.KEY`."""
        factor = "" if self.step.factor == 1 else f"*{self.step.factor}"
        return f"{self.step.kept}{factor}/{self.step.divisor:.15g}"

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """What the file has in the column's place."""
        return (pa.field(self.step.kept, pa.type_for_alias(self.step.kept_type.lower())),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the column is made of."""
        return (self.step.kept,)

    def kept(self, values: pa.Array) -> tuple[pa.Array, ...]:
        """The nearest integer of each value; null for null, and for what has none, as NaN."""
        [field] = self.fields
        limits = np.iinfo(field.type.to_pandas_dtype())
        numbers = pc.fill_null(values, pa.scalar(0, values.type)).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):  # infinity is out of range
            nearest = np.rint(numbers.astype(np.float64) * self.step.divisor / self.step.factor)
        is_none = ~((nearest >= limits.min) & (nearest <= limits.max))
        nearest[is_none] = 0
        is_null = values.is_null().to_numpy(zero_copy_only=False)
        return (pa.array(nearest.astype(limits.dtype), field.type, mask=is_null | is_none),)

    def value(self, rows: pa.Table | pa.RecordBatch) -> pa.Array | pa.ChunkedArray:
        """The column, as the kept integers stand for it."""
        whole = pc.cast(rows.column(self.step.kept), pa.int64())
        if self.step.factor != 1:
            whole = pc.multiply(whole, self.step.factor)
        number = pc.divide(pc.cast(whole, pa.float64()), self.step.divisor)
        return pc.cast(number, pa.float32()) if self.step.is_single else number

    def can_be_made(self, schema: pa.Schema) -> bool:
        """Whether a file has the integers; one that others wrote anew may have lost them."""
        if self.step.kept not in schema.names:
            return False
        return bool(pa.types.is_integer(schema.field(self.step.kept).type))

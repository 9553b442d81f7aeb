"""How ClickHouse's `telemetry` holds a row: which columns are stored, what of, and what they are read as.

Measured numbers are stored as the integers of `warehouse.steps`, the odometer in miles not at all, since its
metres are there. The blueprint's columns are ALIAS columns over them, so that whoever selects `lat` or
`odometer` gets it. What neither gives bit by bit is stored as it is in the map `stated`, column → value: a
partner's position with more digits, an odometer that only miles are known of. A row that has metres and yet
no odometer states `odometer` and, beside it, `odometer_is_null`.

The expressions here are those of migration 0005, where they are frozen; a test compares them.
"""

from typing import Final

from telematics.names import OdometerSource
from telematics.units import METRES_PER_MILE
from warehouse import columns
from warehouse.steps import BY_NAME, STEPS, Step

STATED: Final = "stated"
NULL_ODOMETER: Final = "odometer_is_null"
"""Key of `STATED` that is no column."""
STATED_TYPE: Final = "Map(LowCardinality(String), Float64)"
ODOMETER: Final = "odometer"
NOT_STORED: Final = (*BY_NAME, ODOMETER)
"""Columns of `warehouse.columns.COPIED` that are ALIAS columns."""

_ODOMETER_SOURCE: Final = "odometer_source"


def _number(value: float) -> str:
    return f"toFloat64({value!r})"


def step_value(step: Step, kept: str) -> str:
    """Expression of the value that an expression of the kept integer stands for."""
    product = kept if step.factor == 1 else f"{kept} * {step.factor}"
    quotient = f"{product} / {_number(step.divisor)}"
    return f"toFloat32({quotient})" if step.is_single else quotient


def odometer_value(row: str = "") -> str:
    """Expression of the miles that a row's metres stand for (`ingest.sink.rows.stamp_odometer`).

    Args:
        row: what stands before the columns' names, such as "day.".
    """
    cases = ", ".join(
        f"{row}{_ODOMETER_SOURCE} = '{source.value}', {row}odometer_{source.value}_m"
        for source in OdometerSource
    )
    return f"multiIf({cases}, null) / {_number(METRES_PER_MILE)}"


def alias(name: str) -> str:
    """Expression of an ALIAS column over what is stored."""
    is_stated, stated = f"mapContains({STATED}, '{name}')", f"{STATED}['{name}']"
    if name == ODOMETER:
        is_null = f"mapContains({STATED}, '{NULL_ODOMETER}')"
        return f"multiIf({is_null}, null, {is_stated}, {stated}, {odometer_value()})"
    step = BY_NAME[name]
    value = f"toFloat32({stated})" if step.is_single else stated
    return f"multiIf(isNotNull({step.kept}), {step_value(step, step.kept)}, {is_stated}, {value}, null)"


def stored_names() -> list[str]:
    """The stored columns of a row but for `vin` and `origin`, in the order of `stored_select`."""
    copied = (column.name for column in columns.COPIED if column.name not in NOT_STORED)
    return [*columns.DERIVED, *copied, *(step.kept for step in STEPS), STATED]


def stored_select(row: str) -> str:
    """The select of a row's stored columns, from its beginning up to the last of them.

    Args:
        row: alias of a row that has the columns of `warehouse.columns`.
    """
    definitions = []
    copied = (*columns.DERIVED, *(each.name for each in columns.COPIED if each.name not in NOT_STORED))
    expressions = [f"{row}.{name} as {name}" for name in copied]
    for step in STEPS:
        value, near = f"{row}.{step.name}", f"{step.name}_near"
        factor = "" if step.factor == 1 else f" / {step.factor}"
        nearest = f"round(toFloat64({value}) * {_number(step.divisor)}{factor})"
        definitions.append(f"accurateCastOrNull({nearest}, '{step.kept_type}') as {near}")
        is_kept = _same_bits(step_value(step, near), value, step.value_type)
        definitions.append(f"{is_kept} as {step.name}_is_kept")
        expressions.append(f"if({step.name}_is_kept, {near}, null) as {step.kept}")
    odometer = f"{row}.{ODOMETER}"
    definitions.append(f"{_same_bits(odometer_value(f'{row}.'), odometer, 'Float64')} as {ODOMETER}_is_kept")
    entries = [f"({name!r}, {name}_is_kept, toFloat64({row}.{name}))" for name in BY_NAME]
    entries += [
        f"({ODOMETER!r}, {ODOMETER}_is_kept, ifNull({odometer}, 0.))",
        f"({NULL_ODOMETER!r}, {ODOMETER}_is_kept or isNotNull({odometer}), 1.)",
    ]
    stated = f"arrayMap(x -> (x.1, assumeNotNull(x.3)), arrayFilter(x -> not x.2, [{', '.join(entries)}]))"
    is_all_kept = " and ".join(f"{name}_is_kept" for name in NOT_STORED)
    # few rows state anything: the arrays are made of those alone
    expressions.append(
        f"if({is_all_kept}, cast(map(), '{STATED_TYPE}'), cast({stated}, '{STATED_TYPE}')) as {STATED}"
    )
    return f"with {', '.join(definitions)} select {', '.join(expressions)}"


def _same_bits(one: str, other: str, kind: str) -> str:
    """Condition on two expressions of which either may be null: both are, or neither and their bits agree."""
    width = kind.removeprefix("Float")
    bits = (f"reinterpretAsUInt{width}(ifNull({each}, to{kind}(0)))" for each in (one, other))
    return f"(isNull({one}) = isNull({other}) and {' = '.join(bits)})"

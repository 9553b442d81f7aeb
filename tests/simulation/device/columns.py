"""Records as columns, made small or drawn at random."""

import numpy as np
from hypothesis import strategies as st

from ingest.codec8.records import AvlRecord, IoElement
from simulation.device.encoding import IoColumn, RecordColumns, TextColumn

HEADS = {
    "timestamp_ms": (0, 2**63 - 1),
    "priority": (0, 255),
    "longitude_raw": (-(2**31), 2**31 - 1),
    "latitude_raw": (-(2**31), 2**31 - 1),
    "altitude_m": (-(2**15), 2**15 - 1),
    "angle_deg": (0, 2**16 - 1),
    "satellites": (0, 255),
    "speed_kph": (0, 2**16 - 1),
    "event_io_id": (0, 2**16 - 1),
}


def whole(values):
    return np.array(values, np.int64)


def make_columns(count, io=(), texts=(), **overrides):
    """So many records, one a second, with the same values but for the time."""
    heads = {name: np.zeros(count, np.int64) for name in HEADS}
    heads["timestamp_ms"] = 1_700_000_000_000 + 1000 * np.arange(count)
    heads |= {name: np.full(count, value, np.int64) for name, value in overrides.items()}
    return RecordColumns(**heads, io=tuple(io), texts=tuple(texts))


def io_column(avl_id, width, raw, is_present=None):
    present = np.ones(len(raw), np.bool_) if is_present is None else np.array(is_present, np.bool_)
    return IoColumn(avl_id, width, whole(raw), present)


def text_column(avl_id, text, is_present):
    return TextColumn(avl_id, text, np.array(is_present, np.bool_))


def records_of(columns):
    """The same records one by one, for the readable encoder."""
    return [
        AvlRecord(
            **{name: int(getattr(columns, name)[index]) for name in HEADS},
            io=(
                *(
                    IoElement(column.id, column.width, int(column.raw[index]))
                    for column in columns.io
                    if column.is_present[index]
                ),
                *(IoElement(text.id, 0, text.text) for text in columns.texts if text.is_present[index]),
            ),
        )
        for index in range(len(columns))
    ]


@st.composite
def any_columns(draw):
    count = draw(st.integers(0, 12))

    def numbers(lowest, highest):
        return whole(draw(st.lists(st.integers(lowest, highest), min_size=count, max_size=count)))

    ids = draw(st.lists(st.integers(0, 2**16 - 1), max_size=6, unique=True))
    io, texts = [], []
    for avl_id in ids:
        if draw(st.integers(0, 3)) == 0:
            present = draw(st.lists(st.booleans(), min_size=count, max_size=count))
            texts.append(text_column(avl_id, draw(st.binary(min_size=1, max_size=20)), present))
            continue
        width = draw(st.sampled_from([1, 2, 4, 8]))
        raw = numbers(0, min(256**width, 2**63) - 1)
        io.append(
            io_column(avl_id, width, raw, draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        )
    return RecordColumns(
        **{name: numbers(*limits) for name, limits in HEADS.items()}, io=tuple(io), texts=tuple(texts)
    )

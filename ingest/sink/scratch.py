"""Working memory of `row_writing`, kept from batch to batch."""

import numpy as np

from ingest.sink.row_writing import COLUMN_COUNT


class Scratch:
    """Arrays that the kernel works in; views of one memory are how it turns a float into bits."""

    def __init__(self) -> None:
        self.slots = np.zeros(COLUMN_COUNT, np.uint64)
        self.present = np.zeros(COLUMN_COUNT, np.bool_)
        self.double = np.zeros(1, np.float64)
        self.double_bits = self.double.view(np.uint64)
        self.single = np.zeros(1, np.float32)
        self.single_bits = self.single.view(np.uint32)
        self.stamps = np.zeros(1 << 16, np.int32)
        self.unfit = np.zeros(0, np.int64)

    def make_ready(self, longest_record: int) -> None:
        """Before each batch: no AVL id was met yet, and the longest record's elements have room."""
        self.stamps[:] = 0
        if self.unfit.size < longest_record:
            self.unfit = np.zeros(longest_record, np.int64)

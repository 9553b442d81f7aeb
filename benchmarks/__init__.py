"""What `piston bench` measures: each figure as a ratio to a baseline that runs in the same process.

workload.py      frames as the recipe of the reference figures has them
measuring.py     processor time, medians, the machine, and the calibration that a baseline has to pass
decode.py        the batch decoder against `baselines.naive_decoder`
sink.py          frames to COPY bytes to TimescaleDB, against `baselines.row_by_row`
gateway.py, live.py, end_to_end.py  the stream tier, alone and together
warehouse.py     day loads against a bare COPY, the daily job, first pages of two years
storage.py       bytes of a record in every tier, against `baselines.blueprint_layout`
search.py        the search index under a fleet of consents
page.py, plots.py  docs/performance.md
baselines/       the usual way to do each thing, written plainly and never tuned
"""

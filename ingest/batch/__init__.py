"""Many frames at once, by compiled code: what `ingest.codec8.decoding` says, at the machine's speed.

layout.py     the columns: one entry per record, one per IO element, as numpy structured arrays
wire.py       reading big-endian integers, the CRC and the content hash, for compiled code
walking.py    the checks and the walk over frames, for compiled code
compiling.py  machine code: made once, kept on disk, loaded at start-up
decoder.py    `BatchDecoder`: frames in, columns out

The reference decoder says what is right; this package is faster and says the same. docs/decisions/0008 tells
what is compiled, and what goes back to the reference.
"""

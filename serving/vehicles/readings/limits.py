"""How much one request may bring. Each limit has its reason."""

from datetime import timedelta
from typing import Final

from ingest.device_time import DeviceTimes
from serving.idempotency.models import LEASE

MAX_BODY_BYTES: Final = 1 << 20
"""Of a JSON body, which is held in memory whole: 1,000 readings with every field are 600 kB."""
MAX_READINGS: Final = 1_000
"""In a JSON body; its answer has one result for each."""
MAX_STREAM_BYTES: Final = 32 << 20
"""Of an NDJSON body, which passes through line by line."""
MAX_STREAM_READINGS: Final = 20_000
"""In an NDJSON body; the answer is kept for a day, and is 1 MB then."""
MAX_LINE_BYTES: Final = 16 << 10
"""Of an NDJSON line: a reading with every field and 128 trouble codes is 3 kB."""
REQUEST_WITHIN_S: Final = 90.0
"""From the first byte of the body to the answer. The key of a request must not be given to another before."""
A_DAY_AHEAD: Final = DeviceTimes(ahead_ms=24 * 3_600_000)
"""What the settings say unless they are changed, but from 2000 on."""
MAX_SHOWN_ERRORS: Final = 100
"""In a problem document; a batch that is refused whole has one reason, usually."""

assert timedelta(seconds=REQUEST_WITHIN_S) < LEASE  # noqa: S101 - two numbers that belong together

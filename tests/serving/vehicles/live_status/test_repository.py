from datetime import UTC, datetime

import pytest

from serving.vehicles.live_status.repository import parse_signals

T_MS = 1_764_000_000_250


def test_a_signal_is_a_time_and_a_document() -> None:
    signals = parse_signals({b"speed_mph": b"%d|31.5" % T_MS, b"dtc_codes": b'%d|["P0|00"]' % T_MS})
    assert signals["speed_mph"].observed_at == datetime(2025, 11, 24, 16, 0, 0, 250_000, tzinfo=UTC)
    assert (signals["speed_mph"].value, signals["dtc_codes"].value) == (31.5, ["P0|00"])


@pytest.mark.parametrize("damaged", [b"", b"|", b"x|1", b"12", b"12|", b"12|{", b"9" * 30 + b"|1"])
def test_a_damaged_signal_does_not_take_the_others_with_it(damaged: bytes) -> None:
    assert list(parse_signals({b"odometer": damaged, b"speed_mph": b"12|1"})) == ["speed_mph"]

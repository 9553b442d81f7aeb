"""A running replay in one line."""

from simulation.replay.sender import ReplayTotals

_MINUTE_S = 60


def progress_line(totals: ReplayTotals, expected: int, elapsed_s: float) -> str:
    """Records acknowledged, their rate, devices that are done, and the time left.

    Args:
        totals: as counted so far.
        expected: records of all devices.
        elapsed_s: since this run began.
    """
    done = totals.before + totals.delivery.acknowledged
    rate = totals.delivery.acknowledged / elapsed_s if elapsed_s > 0 else 0.0
    line = (
        f"{done:,} of {expected:,} records acknowledged, {rate:,.0f}/s, "
        f"{totals.finished} of {totals.devices} devices done"
    )
    if totals.delivery.resends:
        line += f", {totals.delivery.resends:,} packets resent"
    if rate > 0 and done < expected:
        line += f", {_clock((expected - done) / rate)} left"
    return line


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // _MINUTE_S}:{whole % _MINUTE_S:02d}"

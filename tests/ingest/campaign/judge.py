"""The sender's ledger against the stores. Pure.

`Truth` is what the senders know, `Stores` what the stores hold; `judge` says where they differ. Nothing of
Piston's own reckoning takes part.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from math import isclose
from typing import Any, Self

from tests.ingest.campaign.ledger import Identity
from tests.ingest.campaign.traffic import Newest

LiveState = Mapping[str, tuple[int, Any]]
"""Signal → device time in milliseconds, value."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What the senders know."""

    sent: Collection[Identity]
    """All that ever touched the network, acknowledged or not."""
    acknowledged: Collection[Identity]
    newest: Mapping[str, Newest]
    """VIN → the newest record sent."""
    alerts: Collection[str]
    """Ids of what the records gave rise to."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What the stores hold."""

    rows: Counter[Identity]
    """The hypertable."""
    rows_by_day: Mapping[date, int]
    """What the sink counted into `hot_days`."""
    dead_letters: int
    live: Mapping[str, LiveState]
    """VIN → live state."""
    alerts: Counter[str]
    """Ids in ClickHouse, read with `final`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often ledger and stores differ, by how; all zero when the promise was kept."""

    lost: int = 0
    """Acknowledged records that the hypertable lacks."""
    doubled: int = 0
    """Rows beyond the first of a record, acknowledged or not."""
    foreign: int = 0
    """Rows that nobody sent."""
    miscounted_days: int = 0
    """Days whose count in `hot_days` is not that of their rows: something was counted twice or never."""
    dead_letters: int = 0
    stale: int = 0
    """Vehicles whose live state is not their newest record."""
    lost_alerts: int = 0
    doubled_alerts: int = 0
    foreign_alerts: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return self == Verdict()

    def __str__(self) -> str:
        found = {name: count for name, count in asdict(self).items() if count}
        return ", ".join(f"{count} {name}" for name, count in found.items()) or "nothing"


@dataclass(frozen=True, slots=True)
class Totals:
    """How much a sitting came to; `+` adds up."""

    packets: int = 0
    resent: int = 0
    """Times that a packet was sent again, unchanged."""
    forgotten: int = 0
    """Packets that their senders gave up, unacknowledged."""
    sent: int = 0
    """Different records that touched the network."""
    acknowledged: int = 0
    rows: int = 0
    unacknowledged_rows: int = 0
    """Rows whose acknowledgement their sender never read: they may be there, and are there once."""
    alerts: int = 0
    alert_repeats: int = 0
    """Rows that ClickHouse still holds beyond one per alert before it merges them."""

    def __add__(self, other: "Totals") -> Self:
        mine, theirs = asdict(self), asdict(other)
        return type(self)(**{name: mine[name] + theirs[name] for name in mine})


def judge(truth: Truth, stores: Stores) -> Verdict:
    """Where the stores differ from what the senders know."""
    sent, acknowledged = frozenset(truth.sent), frozenset(truth.acknowledged)
    alerts = frozenset(truth.alerts)
    counted = Counter(
        datetime.fromtimestamp(row.time_ms / 1000, UTC).date() for row in stores.rows.elements()
    )
    days = {*counted, *stores.rows_by_day}
    return Verdict(
        lost=len(acknowledged - stores.rows.keys()),
        doubled=stores.rows.total() - len(stores.rows),
        foreign=len(stores.rows.keys() - sent),
        miscounted_days=sum(counted[day] != stores.rows_by_day.get(day, 0) for day in days),
        dead_letters=stores.dead_letters,
        stale=sum(not _is_newest(stores.live.get(vin, {}), newest) for vin, newest in truth.newest.items())
        + len(stores.live.keys() - truth.newest.keys()),
        lost_alerts=len(alerts - stores.alerts.keys()),
        doubled_alerts=stores.alerts.total() - len(stores.alerts),
        foreign_alerts=len(stores.alerts.keys() - alerts),
    )


def _is_newest(state: LiveState, newest: Newest) -> bool:
    times = {state.get(name, (None, None))[0] for name in ("seen", "position", "battery_voltage")}
    if times != {newest.time_ms}:
        return False
    position, volts = state["position"][1], state["battery_voltage"][1]
    return (
        isclose(position["lat"], newest.latitude_raw / 1e7, abs_tol=5e-8)
        and isclose(position["lng"], newest.longitude_raw / 1e7, abs_tol=5e-8)
        and isclose(volts, newest.battery_mv / 1000, abs_tol=5e-4)
    )


def parse_live_state(stored: Mapping[bytes, bytes]) -> dict[str, tuple[int, Any]]:
    """A vehicle's hash as Valkey holds it: `<device time in ms>|<JSON>` per signal."""
    state = {}
    for name, text in stored.items():
        time_ms, _, value = text.partition(b"|")
        state[name.decode()] = int(time_ms), json.loads(value)
    return state

"""What alerts records give rise to. Pure: state × records → state, findings.

STRATEGY: the state holds, for each signal, the newest value and its device time. A record that is not newer
than a signal's time says nothing about that signal: late data neither raises a "new" code nor moves the
state. Each signal has one rule, which compares what was known with what was observed. Things that happen at
one moment and leave no state behind (a crash, harsh braking, the moment of unplugging) are findings of the
record alone, however late it comes: nobody has heard of them yet.

Records of one frame are taken in order of their time, since much hardware sends the newest first.

Limits: a device that first shows a code within a backlog, sent newest first over several frames, has the
alert at the newest frame's time. What is true in the very first record (codes, unplugged, low) counts as new.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from ingest.alerts.alert import Finding, Kind

LOW_V: Final = 11.8
"""A 12 V lead-acid battery that rests below this is empty (11.9 V: 0 to 10 % by the usual charge tables)."""
RECOVERED_V: Final = 12.2
"""And from here it is about half full again: the gap keeps a battery at the limit from alerting twice."""
LOW_FOR_MS: Final = 60_000
"""Cranking pulls the voltage down as far, but for seconds only."""
PRESENT_V: Final = 6.0
"""Below this there is no battery at the tracker's input: that is the unplug alert's business."""
ODOMETER_SLACK_M: Final = 100
"""A counter that is saved now and then loses the last metres in a restart; that is no tampering."""

DTC: Final = "dtc"
VOLTAGE: Final = "voltage"
ODOMETER: Final = "odometer"
READ_VIN: Final = "vin"
LEVELS: Final[Mapping[str, Kind]] = {"unplug": Kind.UNPLUG, "towing": Kind.TOWING}
"""Signals that are on or off."""


class Known(NamedTuple):
    """The newest value of a signal; JSON."""

    time_ms: int
    value: Any


State = Mapping[str, Known]
"""Signal (`dtc`, `voltage`, `unplug`, `towing`, `odometer:can`, `vin:256`, …) → newest value."""


class Facts(NamedTuple):
    """What a record says that rules look at."""

    time_ms: int
    vin: str
    """The registered one."""
    signals: Sequence[tuple[str, Any]]
    """Signal and what was observed."""
    events: Sequence[Finding]
    """What happened at this moment."""


class Raised(NamedTuple):
    """A finding and the record that showed it, by its number in the sequence given."""

    number: int
    finding: Finding
    is_late: bool


Outcome = tuple[Any, Sequence[Finding]]
_NOTHING: Final[Sequence[Finding]] = ()


def _dtc(before: Any, observed: Any, _facts: Facts, _name: str) -> Outcome:
    now = sorted(set(observed))
    if now == before:
        return before, _NOTHING
    known = frozenset(before or ())
    appeared = [Finding(Kind.DTC_NEW, code, {"codes": now}) for code in now if code not in known]
    gone = sorted(known.difference(now))
    return now, [*appeared, *(Finding(Kind.DTC_CLEARED, code, {"codes": now}) for code in gone)]


def _voltage(before: Any, observed: Any, facts: Facts, _name: str) -> Outcome:
    low_since, is_low = before or (None, False)
    if observed >= RECOVERED_V:
        return (None, False), _NOTHING
    if observed > LOW_V:
        return (None, is_low), _NOTHING
    low_since = facts.time_ms if low_since is None else low_since
    if is_low or facts.time_ms - low_since < LOW_FOR_MS:
        return (low_since, is_low), _NOTHING
    detail = {"battery_v": observed, "low_for_s": (facts.time_ms - low_since) // 1000}
    return (low_since, True), [Finding(Kind.LOW_BATTERY, "12v", detail)]


def _level(before: Any, observed: Any, _facts: Facts, name: str) -> Outcome:
    is_on, is_event = observed
    if not is_on or before or is_event:  # an event record is a finding of its own
        return is_on, _NOTHING
    return is_on, [Finding(LEVELS[name], name, {})]


def _odometer(before: Any, observed: Any, _facts: Facts, name: str) -> Outcome:
    if before is None or observed >= before - ODOMETER_SLACK_M:
        return observed, _NOTHING
    source = name.partition(":")[2]
    return observed, [Finding(Kind.ODOMETER_BACKWARDS, source, {"from_m": before, "to_m": observed})]


def _read_vin(before: Any, observed: Any, facts: Facts, name: str) -> Outcome:
    if observed in (facts.vin, before):
        return observed, _NOTHING
    detail = {"registered_vin": facts.vin, "read_vin": observed}
    return observed, [Finding(Kind.VIN_MISMATCH, name.partition(":")[2], detail)]


Rule = Callable[[Any, Any, Facts, str], Outcome]
"""(value known before or None, observed value, the record, signal) → value to keep, findings."""

_RULES: Final[Mapping[str, Rule]] = {
    DTC: _dtc,
    VOLTAGE: _voltage,
    ODOMETER: _odometer,
    READ_VIN: _read_vin,
    **dict.fromkeys(LEVELS, _level),
}


def advance(state: State, records: Iterable[Facts]) -> tuple[State, list[Raised]]:
    """The state after the records of one frame, and what they give rise to.

    Args:
        state: of the device in the vehicle.
        records: in the frame's order.
    """
    newest = dict(state)
    raised: list[Raised] = []
    numbered = list(enumerate(records))
    if len(numbered) > 1:
        numbered.sort(key=_time_of)
    for number, facts in numbered:
        if facts.events:
            seen_ms = max((known.time_ms for known in state.values()), default=facts.time_ms)
            raised += (Raised(number, event, facts.time_ms < seen_ms) for event in facts.events)
        for name, observed in facts.signals:
            known = newest.get(name)
            if known is None:
                value, findings = _rule_of(name)(None, observed, facts, name)
            elif facts.time_ms > known.time_ms:
                value, findings = _rule_of(name)(known.value, observed, facts, name)
            else:
                continue
            newest[name] = Known(facts.time_ms, value)
            if findings:
                raised += (Raised(number, finding, False) for finding in findings)
    return newest, raised


def _time_of(numbered: tuple[int, Facts]) -> int:
    return numbered[1].time_ms


@cache
def _rule_of(name: str) -> Rule:
    return _RULES[name.partition(":")[0]]

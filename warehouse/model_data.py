"""What models learn from and score: rows of the feature mart and service records, as pandas frames.

Frames come as Arrow from ClickHouse, so that no number passes through text; days are datetime64 at midnight,
moments aware UTC. Origins are named by the caller every time: nothing here mixes them by default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from clickhouse_connect.driver.client import Client

from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients

if TYPE_CHECKING:
    import pandas as pd

FEATURES: Final = f"{ANALYTICS_DATABASE}.ftr_component_days"
SERVICE_RECORDS: Final = f"{ANALYTICS_DATABASE}.service_records"
VEHICLES: Final = f"{ANALYTICS_DATABASE}.vehicles"

SIGNALS: Final = f"{ANALYTICS_DATABASE}.component_day_signals"

ACTIVE_WITHIN_DAYS: Final = 28
"""A trouble code counts as active as long as the vehicle's newest report of codes is not older than this."""

_DAYS: Final = ("as_of", "crank_min_v_28d_date", "performed_on")
_ARROW: Final = {"output_format_arrow_string_as_string": 1}

_FEATURE_ROWS: Final = f"""
select * from {FEATURES}
where component = {{component:String}} and origin in {{origins:Array(String)}}
  and as_of >= {{first:Date}} and as_of < {{until:Date}}
  and toUInt32(as_of) % {{step_days:UInt16}} = 0
order by vin, as_of
"""
_FEATURES_OF_DAY: Final = f"""
select * from {FEATURES} where component = {{component:String}} and as_of = {{as_of:Date}} order by vin
"""
_RECORDS: Final = f"""
select r.vin as vin, v.origin as origin, r.component as component, r.kind as kind,
       r.performed_on as performed_on, r.recorded_at as recorded_at, r.odometer_mi as odometer_mi,
       r.reason as reason
from {SERVICE_RECORDS} as r left join {VEHICLES} as v on r.vin = v.vin
order by vin, performed_on, component, kind
"""
_ACTIVE_DTC: Final = f"""
select vin, argMax(dtc_codes, date) as codes from {SIGNALS}
where dtc_known and toDate(known_at) <= {{as_of:Date}}
  and date <= {{as_of:Date}} and date > {{as_of:Date}} - {ACTIVE_WITHIN_DAYS}
group by vin having notEmpty(codes)
"""


def read_features(
    settings: Settings,
    origins: Sequence[str],
    first: date,
    until: date,
    *,
    component: str = "battery",
    step_days: int | None = None,
) -> "pd.DataFrame":
    """Feature rows whose `as_of` lies in [first, until), ordered by vehicle and day.

    Args:
        settings: where ClickHouse is.
        origins: only vehicles of these origins.
        first: first `as_of`, inclusive.
        until: the day after the last `as_of`.
        component: whose rows.
        step_days: only every so many days since 1970-01-01, which are the landmarks of `ml.dataset`: a
            training that steps by 14 days moves 52,000 rows of a fleet's 730,000.

    Returns:
        Every column of `ftr_component_days`; unknown numbers are NaN.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    parameters = {
        "component": component,
        "origins": [str(origin) for origin in origins],
        "first": first.isoformat(),
        "until": until.isoformat(),
        "step_days": step_days or 1,
    }
    with clients.clickhouse(settings) as client:
        return _frame(client, _FEATURE_ROWS, parameters)


def read_newest_features(settings: Settings, as_of: date, *, component: str = "battery") -> "pd.DataFrame":
    """One row per known vehicle of any origin: its features of `as_of`, or none where it has no such row.

    A vehicle's older row never stands in: it would be scored under a date that it does not describe.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        rows = _frame(client, _FEATURES_OF_DAY, {"component": component, "as_of": as_of.isoformat()})
        vehicles = _frame(client, f"select vin, origin from {VEHICLES} order by vin", {})
    return with_all_vehicles(rows, vehicles, as_of, component)


def with_all_vehicles(
    rows: "pd.DataFrame", vehicles: "pd.DataFrame", as_of: date, component: str
) -> "pd.DataFrame":
    """The feature rows, and a row without features for each vehicle that has none; ordered by VIN."""
    import pandas as pd

    missing = vehicles.loc[~vehicles["vin"].isin(rows["vin"]), ["vin", "origin"]]
    if missing.empty:
        return rows
    keys = missing.assign(component=component, as_of=pd.Timestamp(as_of))
    bare = keys.reindex(columns=rows.columns)
    # the same types as the rows: a column of nothing would otherwise turn its neighbour's into objects
    typed = bare.astype({name: dtype for name, dtype in rows.dtypes.items() if name in bare})
    return pd.concat([rows, typed], ignore_index=True).sort_values("vin", ignore_index=True)


def read_service_records(settings: Settings) -> "pd.DataFrame":
    """Every service record, with its vehicle's origin ('' where the VIN is unknown).

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        return _frame(client, _RECORDS, {})


def read_active_dtc(settings: Settings, as_of: date) -> dict[str, tuple[str, ...]]:
    """The trouble codes of each vehicle's newest day that reported any codes or their absence, as known then.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        rows = client.query(_ACTIVE_DTC, parameters={"as_of": as_of.isoformat()}).result_rows
    return {vin: tuple(codes) for vin, codes in rows}


def newest_as_of(settings: Settings, not_after: date, *, component: str = "battery") -> date | None:
    """The newest day up to `not_after` that features were built for, or None where there are none.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        if not _are_there(client):
            return None
        day, row_count = client.query(
            f"select max(as_of), count() from {FEATURES} "
            "where component = {component:String} and as_of <= {not_after:Date}",
            parameters={"component": component, "not_after": not_after.isoformat()},
        ).result_rows[0]
    return day if row_count else None


@dataclass(frozen=True, slots=True)
class FeatureSpan:
    """Which days of features there are to learn from: UTC days, both inclusive."""

    first: date
    last_complete: date
    """The day before the last on which anything became known.

    Feature rows go on for a year after a vehicle's last day, so their newest `as_of` says nothing about it.
    """


def feature_span(
    settings: Settings, origins: Sequence[str], *, component: str = "battery"
) -> FeatureSpan | None:
    """The days of features of these origins, or None where nothing became known.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        if not _are_there(client):
            return None
        first, newest, known_count = client.query(
            f"select min(as_of), toDate(max(newest_known_at)), countIf(newest_known_at is not null) "
            f"from {FEATURES} where component = {{component:String}} and origin in {{origins:Array(String)}}",
            parameters={"component": component, "origins": [str(origin) for origin in origins]},
        ).result_rows[0]
    return FeatureSpan(first, newest - timedelta(days=1)) if known_count else None


def _are_there(client: Client) -> bool:
    """Whether features exist: dbt makes the table in its first run."""
    return bool(client.query(f"exists table {FEATURES}").result_rows[0][0])


def _frame(client: Client, query: str, parameters: Mapping[str, Any]) -> "pd.DataFrame":
    """A query's rows; days arrive as Python dates, one object each, and leave as datetime64."""
    import pandas as pd

    table = client.query_arrow(query, parameters=dict(parameters), settings=_ARROW)
    frame = table.to_pandas()
    for name in _DAYS:
        if name in frame:
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
    return frame

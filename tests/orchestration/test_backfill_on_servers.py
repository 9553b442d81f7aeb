"""Backfilled days on the real servers: the sensor asks for them, and their run builds the marts."""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.dbt_assets import dbt_clickhouse, dbt_timescale, resources
from orchestration.home import environment_of
from orchestration.late_days import backfilled_days_sensor
from orchestration.loads import SOURCES, analytics_telemetry
from orchestration.partitions import days_of_tags
from telematics.clock import day_start
from telematics.names import Origin
from telematics.settings import Settings
from warehouse.backfill.telemetry import Request, backfill_telemetry
from warehouse.clients import clickhouse, timescale

pytestmark = pytest.mark.integration

FIRST = date(2024, 2, 12)
"""After the days of the other runs on servers, and no day of theirs beside it."""
DAYS = 2
VIN = "0VERCHBACKF000001"
VEHICLE_ANALYTICS = dg.AssetKey(["analytics", "vehicle_analytics"])
HOURLY = dg.AssetKey(["public", "telemetry_hourly"])


def write_drives(path: Path) -> None:
    """Ten minutes a day at 60 km/h, a row every ten seconds."""
    lines = ["time,vin,speed_mph,ignition,odometer_can_m"]
    for day in range(DAYS):
        noon = day_start(FIRST + timedelta(day)) + timedelta(hours=12)
        for n in range(61):
            moment = (noon + timedelta(seconds=10 * n)).isoformat()
            lines.append(f"{moment},{VIN},36,true,{1_000_000 + day * 9656 + n * 161}")
    path.write_text("\n".join(lines) + "\n")


def asked(settings: Settings, instance: dg.DagsterInstance) -> list[dict[str, str]]:
    """Tags of the runs that the sensor asks for, as far as they are about these days."""
    with dg.build_sensor_context(instance=instance, resources={"settings": settings}) as context:
        requests = backfilled_days_sensor.evaluate_tick(context).run_requests
    found = [(dict(request.tags), days_of_tags(request.tags)) for request in requests]
    return [tags for tags, days in found if days and days[0] <= FIRST < days[1]]


# the steps run in this process, where Dagster warns of what they call; in a process of theirs nobody hears it
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_follows_from_backfilled_days_is_built_by_the_run_that_the_sensor_asks_for(
    stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_drives(tmp_path / "h.csv")
    report = backfill_telemetry(stack, Request(str(tmp_path / "h.csv"), register_as=Origin.RECORDED))
    assert (report.loaded_rows, report.rejected, report.registered_vehicles) == (61 * DAYS, {}, 1)
    assert (report.first_day, report.days_by_tier) == (FIRST, {"clickhouse": DAYS})

    for name, value in environment_of(stack, {}).items():
        monkeypatch.setenv(name, value)
    # tests of this mart against marts that are not built here
    monkeypatch.setenv("DBT_INDIRECT_SELECTION", "cautious")
    with dg.DagsterInstance.ephemeral() as instance:
        [tags] = asked(stack, instance)
        assert days_of_tags(tags) == (FIRST, FIRST + timedelta(DAYS))
        # of the job's assets those between the records and these marts
        result = dg.materialize(
            [*SOURCES, analytics_telemetry, dbt_clickhouse, dbt_timescale],
            selection=dg.AssetSelection.assets(VEHICLE_ANALYTICS, HOURLY).upstream().materializable(),
            resources={"settings": stack, **resources()},
            instance=instance,
            tags=tags,
        )
        assert result.success
        assert asked(stack, instance) == []
    with clickhouse(stack) as warm:
        parameters = {"vin": VIN}
        built = warm.query(
            "select date, trip_count, round(distance_m), origin from analytics.vehicle_analytics "
            "where vin = {vin:String} order by date",
            parameters=parameters,
        ).result_rows
        kept = warm.query(
            "select count(), groupUniqArray(device_id) from analytics.telemetry where vin = {vin:String}",
            parameters=parameters,
        ).result_rows
    with timescale(stack) as hot:
        hours = hot.execute(
            "select bucket, data_points from telemetry_hourly where vin = %s order by bucket", [VIN]
        ).fetchall()
    noons = [day_start(FIRST + timedelta(day)) + timedelta(hours=12) for day in range(DAYS)]
    assert hours == [(noon, 61) for noon in noons], "no row of these days ever was hot"
    assert built == [(FIRST + timedelta(day), 1, 9656, "recorded") for day in range(DAYS)]
    assert kept == [(61 * DAYS, ["backfill:history"])], "the run loads the days once more and loses nothing"

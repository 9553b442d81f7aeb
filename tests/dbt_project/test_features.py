"""Features on a real ClickHouse: right by hand, the same however they are built, blind to the future."""

import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from telematics.settings import Settings
from tests.dbt_project.conftest import Row, Sandbox, open_sandbox
from tests.dbt_project.histories import (
    DRIVEN,
    FIRST,
    GAPPED,
    LATE,
    MODEL_YEARS,
    NO_12_V,
    ONE_DAY,
    SERVICE_RECORDS,
    VINS,
    expected_features,
    histories,
    known_date,
    make_day,
)

pytestmark = pytest.mark.integration

MODELS = "+ftr_component_days"
LEAKAGE_TEST = "assert_features_use_only_what_was_known"
MARKED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def built(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Histories, loaded and built over all days."""
    with open_sandbox(stack, tmp_path_factory.mktemp("features")) as sandbox:
        days = histories()
        sandbox.insert("loaded_component_day_signals", days)
        mark = {"load_id": "history", "rows": len(days), "completed_at": MARKED_AT}
        sandbox.insert("backfill_loads", [mark])
        sandbox.insert("service_records", SERVICE_RECORDS)
        sandbox.insert(
            "vehicles",
            [
                {"vin": vin, "origin": "simulated", "make": None, "model": None, "model_year": year}
                for vin, year in MODEL_YEARS.items()
            ],
        )
        done = sandbox.dbt("build", "--select", MODELS, "--exclude-resource-type", "unit_test")
        assert done.returncode == 0, done.stdout
        yield sandbox


def _features(sandbox: Sandbox) -> dict[tuple[str, date], dict[str, object]]:
    found = sandbox.client.query(f"select * from {sandbox.database}.ftr_component_days")
    rows = [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
    return {(row["vin"], row["as_of"]): row for row in rows}


def test_every_feature_is_what_a_hand_works_out(built: Sandbox):
    days, features = histories(), _features(built)
    compared = 0
    for vin in VINS:
        known = [known_date(day) for day in days if day["vin"] == vin]
        for as_of in (
            *(min(known) + timedelta(n) for n in (0, 1, 6, 7, 27, 28, 29, 89, 90, 117, 118, 179, 208, 365)),
            *(max(known) + timedelta(n) for n in (-1, 0, 1, 14, 90, 364, 365)),
            date(2019, 6, 19), date(2019, 6, 20), date(2019, 7, 1),
        ):  # fmt: skip
            if (vin, as_of) not in features:
                continue
            row = features[vin, as_of]
            for name, value in expected_features(vin, as_of, days).items():
                if isinstance(value, datetime):
                    value = value.replace(tzinfo=None)
                if isinstance(value, float):
                    value = pytest.approx(value, abs=2e-6)
                assert row[name] == value, (vin, as_of, name)
                compared += 1
    assert compared > 3000
    assert set(expected_features(DRIVEN, FIRST, days)) == set(features[DRIVEN, FIRST + timedelta(1)]) - {
        "vin", "component", "as_of", "origin"
    }, "every column was compared"  # fmt: skip


def test_a_vehicle_has_a_row_a_day_from_its_first_known_day_to_a_year_after_its_last(built: Sandbox):
    found = built.client.query(
        "select vin, min(as_of), max(as_of), count(), any(toString(origin)) "
        f"from {built.database}.ftr_component_days group by vin order by vin"
    ).result_rows
    days = histories()
    assert [row[0] for row in found] == list(VINS)
    for vin, first, last, count, origin in found:
        known = [known_date(day) for day in days if day["vin"] == vin]
        assert (first, last) == (min(known), max(known) + timedelta(365))
        assert count == (last - first).days + 1
        assert origin == {NO_12_V: "recorded", LATE: "live"}.get(vin, "simulated")
    assert {row[0]: row[3] for row in found}[ONE_DAY] == 366


def test_no_vehicle_has_a_row_for_tomorrow(built: Sandbox):
    today = datetime.now(UTC).date()
    vin = "0SMFEATURES000099"
    yesterday = make_day(vin, today - timedelta(1), random.Random(1), load_id="fresh")
    built.insert("loaded_component_day_signals", [yesterday])
    built.insert("backfill_loads", [{"load_id": "fresh", "rows": 1, "completed_at": MARKED_AT}])
    try:
        done = built.dbt(
            "run", "--select", MODELS, "--event-time-start", str(today), "--event-time-end",
            str(today + timedelta(30)),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert [as_of for known, as_of in _features(built) if known == vin] == [today]
    finally:
        for table in ("loaded_component_day_signals", "component_day_signals", "ftr_component_days"):
            built.client.command(f"delete from {built.database}.{table} where vin = '{vin}'")
        built.client.command(f"delete from {built.database}.backfill_loads where load_id = 'fresh'")


def test_days_built_again_are_the_same_also_where_they_need_what_lies_far_back(built: Sandbox):
    before = built.rows("ftr_component_days")
    for first, until in (
        (FIRST + timedelta(215), FIRST + timedelta(216)),
        (date(2019, 12, 30), date(2020, 1, 3)),
    ):
        done = built.dbt(
            "run", "--select", MODELS, "--event-time-start", str(first), "--event-time-end", str(until)
        )
        assert done.returncode == 0, done.stdout
        assert built.rows("ftr_component_days") == before


def test_rows_of_a_load_without_its_mark_reach_nothing(built: Sandbox):
    before = built.rows("component_day_signals")
    extra = make_day(GAPPED, FIRST + timedelta(100), random.Random(1), load_id="killed")
    built.insert("loaded_component_day_signals", [extra])
    day = FIRST + timedelta(100)
    done = built.dbt(
        "run", "--select", "component_day_signals", "--event-time-start", str(day), "--event-time-end",
        str(day + timedelta(1)),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert built.rows("component_day_signals") == before


@pytest.fixture(scope="module")
def compiled(built: Sandbox) -> Callable[..., str]:
    """What dbt makes of a file of the project for a run over all days."""
    done = built.dbt("compile", "--quiet", "--select", "ftr_component_days", LEAKAGE_TEST)
    assert done.returncode == 0, done.stdout
    return lambda *parts: built.target.joinpath("compiled", "piston", *parts).read_text()


@pytest.fixture
def spoiled(built: Sandbox, compiled: Callable[..., str]) -> Iterator[Callable[[str], list[Row]]]:
    """Puts features built by another statement in place; returns what the leakage test finds then."""
    statement = compiled("data_tests", "clickhouse", f"{LEAKAGE_TEST}.sql")
    table = f"{built.database}.ftr_component_days"
    backup = f"{table}_backup"
    built.client.command(f"create table {backup} clone as {table}")

    def findings(select: str) -> list[Row]:
        built.client.command(f"truncate table {table}")
        built.client.command(f"insert into {table} {select}", settings={"join_use_nulls": 0})
        found = built.client.query(statement, settings={"join_use_nulls": 0})
        return [tuple(row) for row in found.result_rows]

    yield findings
    built.client.command(f"truncate table {table}")
    built.client.command(f"insert into {table} select * from {backup}")
    built.client.command(f"drop table {backup} sync")


FAULTS = {
    "received_at is ignored": (r"toDate\(known_at\) as known_date", "date as known_date", "crank_mean_v_28d"),
    "a window looks ahead": (
        r"(range between 27 preceding and)\s+current row",
        r"\1 30 following",
        "crank_min_v_28d",
    ),
    "an earlier window ends late": (
        r"range between 117 preceding and\s+90 preceding",
        "range between 117 preceding and 80 preceding",
        "crank_resistance_delta_90d",
    ),
    "late days count": (r"and known_date <= date \+ 14", "", "crank_mean_v_180d"),
    "a replacement is known at once": (
        r"toDate\(recorded_at\) as known_date",
        "performed_date as known_date",
        "battery_age_days",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", list(FAULTS))
def test_the_leakage_test_notices_features_built_wrongly(
    compiled: Callable[..., str], spoiled: Callable[[str], list[Row]], fault: str
):
    pattern, instead, feature = FAULTS[fault]
    model = compiled("models", "clickhouse", "features", "ftr_component_days.sql")
    assert spoiled(model) == [], "the model as it is passes"
    changed, count = re.subn(pattern, instead, model)
    assert count >= 1, "the fault is in the statement"
    assert feature in {row[2] for row in spoiled(changed)}


def test_dbt_fails_on_a_feature_that_comes_from_the_future(
    built: Sandbox, spoiled: Callable[[str], list[Row]]
):
    backup = f"{built.database}.ftr_component_days_backup"
    shifted = f"""
        select now_.* replace (later.crank_mean_v_28d as crank_mean_v_28d)
        from {backup} as now_
        left join {backup} as later on now_.vin = later.vin and later.as_of = now_.as_of + 30
    """
    assert {row[2] for row in spoiled(shifted)} == {"crank_mean_v_28d"}
    tested = built.dbt("test", "--select", LEAKAGE_TEST)
    assert tested.returncode == 1
    assert re.search(rf"FAIL \d+ {LEAKAGE_TEST}", tested.stdout)

"""The demo's simulated fleet: a history by file, its newest days through the device port, models on both.

Every part looks first whether its work is done already, so a second run is quick and doubles nothing.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from cli.demo.answers import Comparison, Partner, Stores
from cli.demo.stages import DayRange
from telematics.settings import Settings
from warehouse.prediction_checks import predictions_cover_fleet

COMPONENT: Final = "battery"
SEED: Final = 102
"""Of three fleets of this size the one whose held-out O/E lies well inside the gate (`docs/models.md` has
all): the failures of a thousand cars scatter by more than that range, and the demo runs on any date."""
VEHICLES: Final = 1_000
DAYS: Final = 730
LIVE_VEHICLES: Final = 20
"""The fleet's first cars: their newest days come through the device port as well."""
LIVE_DAYS: Final = 14

Run = Callable[..., None]
"""Runs a piston command by its words and raises if it fails."""


@dataclass(frozen=True)
class LoadedDays:
    """What the features have to cover: days of loaded history, and how far they are built."""

    first_signal: date | None
    first_feature: date | None
    last_feature: date | None
    vehicles: int
    vehicles_with_features: int


def history_folder(settings: Settings) -> Path:
    """Where the fleet's history lies as Parquet files."""
    return settings.data / "simulated" / f"fleet-{SEED}"


def write_history(settings: Settings, piston: Run, say: Callable[[str], None]) -> Path:
    """The fleet's history, generated unless it is there."""
    folder = history_folder(settings)
    manifest = folder / "manifest.json"
    if manifest.is_file() and json.loads(manifest.read_text())["vehicles"] == VEHICLES:
        say(f"{folder.name} is there already")
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    piston(
        "simulate", "fleet", "--vehicles", str(VEHICLES), "--days", str(DAYS), "--seed", str(SEED),
        "--out", str(folder),
    )  # fmt: skip
    return folder


def drive_live(settings: Settings, piston: Run) -> None:
    """The newest days of the first cars through the device port; what was acknowledged is not sent again."""
    piston(
        "simulate", "fleet", "--vehicles", str(LIVE_VEHICLES), "--days", str(LIVE_DAYS), "--seed", str(SEED),
        "--fast", "--out", f"tcp://{settings.gateway_host}:{settings.gateway_port}",
    )  # fmt: skip


def loaded_days(warm: Client) -> LoadedDays:
    """How far the features are."""
    signals = warm.query(
        "select minOrNull(date), uniqExact(vin) from analytics.loaded_component_day_signals"
    ).result_rows[0]
    built: Sequence[Any] = (None, None, 0)
    if warm.query("exists table analytics.ftr_component_days").result_rows[0][0]:
        built = warm.query(
            "select minOrNull(as_of), maxOrNull(as_of), uniqExact(vin) from analytics.ftr_component_days"
            " where vin in (select vin from analytics.loaded_component_day_signals)"
        ).result_rows[0]
    return LoadedDays(signals[0], built[0], built[1], signals[1], built[2])


def features_to_build(loaded: LoadedDays, telemetry: DayRange | None, today: date) -> DayRange | None:
    """Days whose features no other run will build: the loaded history before the telemetry's days.

    Args:
        loaded: what is there.
        telemetry: the days that the warehouse run is about to build, features included.
        today: the present UTC day.
    """
    if loaded.first_signal is None:
        return None
    is_there = (
        loaded.vehicles_with_features >= loaded.vehicles
        and loaded.first_feature is not None
        and loaded.first_feature <= loaded.first_signal + timedelta(days=1)
    )
    if is_there:
        return None
    until = telemetry.first if telemetry else today + timedelta(days=1)
    return DayRange(loaded.first_signal, until) if loaded.first_signal < until else None


def is_scored(settings: Settings, warm: Client, today: date) -> bool:
    """Whether the newest day that is over has predictions, and every vehicle heard lately has one.

    A folder that was first filled without the recorded drives lacks those of the recorded cars.
    """
    scored = warm.query("select max(as_of) from analytics.maintenance_predictions").result_rows[0][0]
    return bool(scored >= today - timedelta(days=1)) and predictions_cover_fleet(settings, today).passed


def riskiest(warm: Client) -> str:
    """Of the cars that report through the device port, the one with the highest known risk."""
    rows = warm.query(
        "select vin from analytics.maintenance_predictions"
        " where vin in (select distinct vin from analytics.telemetry where origin = 'simulated')"
        "   and as_of = (select max(as_of) from analytics.maintenance_predictions)"
        " order by risk_90 desc nulls last, vin limit 1"
    ).result_rows
    return str(rows[0][0])


def compare_prediction(partner: Partner, stores: Stores, vin: str) -> Comparison:
    """A car's battery prediction over HTTP against the scored table."""
    path = f"/api/v1/vehicles/{vin}/maintenance-prediction"
    body = partner.get(path)
    rows = stores.warm.query(
        "select risk_level, risk_30, risk_90, confidence, toString(estimated_failure), reason"
        " from analytics.maintenance_predictions where vin = {vin:String} and component = 'battery'"
        " order by as_of desc limit 1",
        {"vin": vin},
    ).result_rows
    level, risk_30, risk_90, confidence, estimated, reason = rows[0] if rows else (None,) * 6
    answered = body["predictions"][0] if body["predictions"] else {}
    agrees = bool(rows) and (
        answered.get("risk_level"),
        answered.get("risk_30d"),
        answered.get("risk_90d"),
        answered.get("confidence"),
        answered.get("estimated_failure"),
    ) == (level, _rounded(risk_30), _rounded(risk_90), _rounded(confidence), estimated)
    return Comparison(f"GET {path}", sentence(answered), _row(level, risk_30, risk_90, reason), agrees)


def sentence(prediction: dict[str, Any]) -> str:
    """A prediction as a line: level, risks, date, and what speaks for it."""
    if not prediction:
        return "no prediction"
    if prediction["risk_level"] == "unknown":
        return f"{prediction['component']} unknown: {prediction['reason']}"
    evidence = "; ".join(prediction["evidence"]) or "nothing unusual"
    return (
        f"{prediction['component']} {prediction['risk_level']}, {prediction['risk_30d']:.1%} in 30 d, "
        f"{prediction['risk_90d']:.1%} in 90 d, estimated {prediction['estimated_failure']}, "
        f"confidence {prediction['confidence']}, data {prediction['data_sufficiency']}; {evidence}"
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _row(level: str | None, risk_30: float | None, risk_90: float | None, reason: str | None) -> str:
    if level is None:
        return "no row"
    if risk_30 is None or risk_90 is None:
        return f"{level} ({reason})"
    return f"{level}, risk_30 {risk_30:.4f}, risk_90 {risk_90:.4f}"

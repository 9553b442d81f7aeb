"""History that did not come over the device port: folders of files, and the registry's own tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from orchestration.faults import told_apart
from orchestration.loads import OWNERS
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings

if TYPE_CHECKING:
    from warehouse.backfill import BackfillReport

Metadata = dict[str, dg.MetadataValue]

BACKFILL_POOL: Final = "backfill"
REFERENCE_POOL: Final = "clickhouse_reference"
"""Two copies at once would make the older of them the last."""

LOADED_SIGNALS: Final = dg.AssetKey([ANALYTICS_DATABASE, "loaded_component_day_signals"])
BACKFILL_LOADS: Final = dg.AssetKey([ANALYTICS_DATABASE, "backfill_loads"])
SERVICE_LEDGER: Final = dg.AssetKey(["public", "service_records"])
VEHICLE_REGISTRY: Final = dg.AssetKey(["public", "vehicles"])
SERVICE_RECORDS: Final = dg.AssetKey([ANALYTICS_DATABASE, "service_records"])
VEHICLES: Final = dg.AssetKey([ANALYTICS_DATABASE, "vehicles"])

BACKFILLED: Final = (LOADED_SIGNALS, BACKFILL_LOADS, SERVICE_LEDGER)
REFERENCE: Final = (SERVICE_RECORDS, VEHICLES)

REGISTRY: Final = dg.AssetSpec(
    VEHICLE_REGISTRY,
    description="Every vehicle, written by registration and by backfills.",
    group_name="raw",
    kinds={"postgres"},
    owners=["team:ingest"],
)


class BackfillConfig(dg.Config):
    """What to load."""

    folder: str
    """A folder with manifest.json and Parquet files, as `piston simulate fleet --out FOLDER` writes it."""


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            SERVICE_LEDGER,
            description="Repairs and replacements: loaded from files, or entered.",
            group_name="warehouse",
            kinds={"postgres"},
            owners=OWNERS,
        ),
        dg.AssetSpec(
            LOADED_SIGNALS,
            description="Day signals of vehicles loaded from files; a load's rows count once it is whole.",
            group_name="warehouse",
            kinds={"clickhouse"},
            owners=OWNERS,
        ),
        dg.AssetSpec(
            BACKFILL_LOADS,
            deps=[LOADED_SIGNALS],
            description="Which loads are whole: the mark that dbt looks for, written last.",
            group_name="warehouse",
            kinds={"clickhouse"},
            owners=OWNERS,
        ),
    ],
    name="backfilled_history",
    pool=BACKFILL_POOL,
)
def backfilled_history(
    context: dg.AssetExecutionContext, config: BackfillConfig, settings: dg.ResourceParam[Settings]
) -> Iterator[Any]:
    """A folder of history, exactly once: the same files again change nothing."""
    from warehouse import backfill

    with told_apart():
        report = backfill.backfill(settings, Path(config.folder), progress=context.log.info)
    for key, metadata in backfill_metadata(report).items():
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)


def backfill_metadata(report: "BackfillReport") -> dict[dg.AssetKey, Metadata]:
    """What the web server shows of a load, by asset."""
    load: Metadata = {
        "load_id": dg.MetadataValue.text(report.load_id),
        "is_new": dg.MetadataValue.bool(report.is_new),
    }
    rejected = dg.MetadataValue.json(dict(report.rejected))
    return {
        SERVICE_LEDGER: load | {"new_records": dg.MetadataValue.int(report.service_record_rows)},
        LOADED_SIGNALS: load
        | {
            "rows": dg.MetadataValue.int(report.day_rows),
            "vehicles": dg.MetadataValue.int(report.vehicle_rows),
            "first_day": dg.MetadataValue.text(str(report.first_day or "none")),
            "last_day": dg.MetadataValue.text(str(report.last_day or "none")),
            "rejected_rows": dg.MetadataValue.int(sum(report.rejected.values())),
            "rejected": rejected,
            "seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        },
        BACKFILL_LOADS: load,
    }


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            SERVICE_RECORDS,
            deps=[SERVICE_LEDGER, BACKFILL_LOADS],
            description="Repairs and replacements, but for those of interrupted loads; copied as a whole.",
            group_name="warehouse",
            kinds={"clickhouse"},
            owners=OWNERS,
        ),
        dg.AssetSpec(
            VEHICLES,
            deps=[VEHICLE_REGISTRY, BACKFILL_LOADS],
            description="Vehicles, but for those of interrupted loads; copied as a whole.",
            group_name="warehouse",
            kinds={"clickhouse"},
            owners=OWNERS,
        ),
    ],
    name="reference_copy",
    pool=REFERENCE_POOL,
)
def copied_reference(settings: dg.ResourceParam[Settings]) -> Iterator[Any]:
    """Small tables that dbt joins, swapped in at once: a reader sees the last copy or this one."""
    from warehouse import reference_copy

    with told_apart():
        report = reference_copy.copy_reference(settings)
    counts = {SERVICE_RECORDS: report.service_record_count, VEHICLES: report.vehicle_count}
    for key, count in counts.items():
        yield dg.MaterializeResult(
            asset_key=key, metadata={"rows": count, "seconds": round(report.seconds, 3)}
        )

"""Telemetry backfills: the ledger of histories that were loaded from files, row by row.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LOADS = """
create table telemetry_backfills (
    load_id          text        primary key,
    path             text        not null,
    source           text        not null,
    status           text        not null check (status in ('reading', 'merging', 'complete')),
    received_at      timestamptz not null,
    begun_at         timestamptz not null default now(),
    read_rows        bigint      not null default 0,
    loaded_rows      bigint      not null default 0,
    doubled_rows     bigint      not null default 0,
    vehicle_count    integer     not null default 0,
    registered_vehicles integer  not null default 0,
    completed_at     timestamptz,
    check ((status = 'complete') = (completed_at is not null))
);
comment on table telemetry_backfills is
    'One row per load of telemetry from files; load_id is a hash of the files and of how they were read.';
comment on column telemetry_backfills.status is
    'reading: files go into a staging table; merging: its days go into their tiers; complete: all did.';
comment on column telemetry_backfills.received_at is
    'When the load began: received_at of its rows, also of those that a later attempt reads.';
comment on column telemetry_backfills.begun_at is 'When its last attempt began, by the server''s clock.';

create table telemetry_backfill_files (
    load_id     text    not null references telemetry_backfills on delete cascade,
    file_number integer not null,
    name        text    not null,
    read_rows   bigint  not null,
    staged_rows bigint  not null,
    staged_at   timestamptz not null default now(),
    primary key (load_id, file_number)
);
comment on table telemetry_backfill_files is
    'One row per file of a load that was read to its end (or to where it is damaged) and staged.';

create table telemetry_backfill_days (
    load_id      text   not null references telemetry_backfills on delete cascade,
    day          date   not null,
    staged_rows  bigint not null,
    loaded_rows  bigint not null,
    merged_at    timestamptz,
    primary key (load_id, day)
);
comment on table telemetry_backfill_days is 'One row per day of a load; merged_at: its tier holds the rows.';
comment on column telemetry_backfill_days.loaded_rows is 'Different ones among staged_rows.';
"""

REJECTS = """
create table telemetry_backfill_reject_counts (
    load_id   text   not null references telemetry_backfills on delete cascade,
    file      text   not null,
    reason    text   not null,
    row_count bigint not null,
    primary key (load_id, file, reason)
);
comment on table telemetry_backfill_reject_counts is
    'How many rows of a file were set aside for a reason; all are counted, some stand in the table beside.';

create table telemetry_backfill_rejects (
    load_id    text   not null references telemetry_backfills on delete cascade,
    file       text   not null,
    row_number bigint not null check (row_number >= 0),
    reason     text   not null,
    detail     text   not null,
    row        text   not null,
    primary key (load_id, file, row_number)
);
comment on table telemetry_backfill_rejects is
    'Examples of rows that were set aside, a bounded number per file and reason; row 0 is the file itself.';
comment on column telemetry_backfill_rejects.row is
    'The row as it stood there, what is not text made readable, cut at 2,000 characters.';
"""

DEVICES = """
create table backfill_devices (
    vin       text not null references vehicles,
    device_id text not null check (starts_with(device_id, 'backfill:')),
    primary key (vin, device_id)
);
comment on table backfill_devices is
    'Vehicles that loaded rows name by VIN, and the device_id (backfill:SOURCE) under which they stand.';
"""

TABLES = (
    "backfill_devices",
    "telemetry_backfill_rejects",
    "telemetry_backfill_reject_counts",
    "telemetry_backfill_days",
    "telemetry_backfill_files",
    "telemetry_backfills",
)


def upgrade() -> None:
    for statements in (LOADS, REJECTS, DEVICES):
        op.execute(statements)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"drop table {table}")

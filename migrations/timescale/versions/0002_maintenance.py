"""Maintenance: service records, and the ledger of what was loaded from files.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BACKFILLS = """
create table backfills (
    load_id             text        primary key,
    folder              text        not null,
    status              text        not null check (status in ('loading', 'written', 'complete')),
    day_rows            bigint,
    service_record_rows bigint,
    vehicle_rows        bigint,
    rejected_rows       bigint,
    first_day           date,
    last_day            date,
    started_at          timestamptz not null default now(),
    completed_at        timestamptz,
    check ((status = 'complete') = (completed_at is not null))
);
comment on table backfills is
    'One row per load of files; load_id is a hash of their contents, so the same files are one load.';
comment on column backfills.status is
    'written: everything of it is in both stores; complete: also marked in ClickHouse, where readers look.';

create table backfill_rejects (
    load_id    text   not null references backfills on delete cascade,
    file       text   not null,
    row_number bigint not null check (row_number >= 1),
    reason     text   not null,
    row        jsonb  not null,
    primary key (load_id, file, row_number)
);
comment on table backfill_rejects is 'One row per row of a file that was not loaded, with the reason.';
"""

SERVICE = """
create table service_records (
    service_record_id bigint generated always as identity primary key,
    vin          text             not null references vehicles,
    component    text             not null check (component in ('battery')),
    kind         text             not null check (kind in ('replacement', 'repair')),
    performed_on date             not null,
    recorded_at  timestamptz      not null,
    odometer_mi  double precision check (odometer_mi >= 0),
    reason       text             not null check (reason in ('failure', 'preventive', 'unknown')),
    load_id      text             references backfills,
    unique (vin, component, kind, performed_on)
);
comment on table service_records is 'One row per repair or replacement of a component of a vehicle.';
comment on column service_records.performed_on is 'Day of the work; recorded_at: when we learned of it.';
comment on column service_records.load_id is 'The load that brought it; null: entered here.';
create index on service_records (load_id);
"""

VEHICLES = """
alter table vehicles add column load_id text;
comment on column vehicles.load_id is
    'The load that brought it (null: registered here); hidden until that is whole or a device installed.';
"""

TABLES = ("service_records", "backfill_rejects", "backfills")


def upgrade() -> None:
    for statements in (BACKFILLS, SERVICE, VEHICLES):
        op.execute(statements)


def downgrade() -> None:
    op.execute("alter table vehicles drop column load_id")
    for table in TABLES:
        op.execute(f"drop table {table}")

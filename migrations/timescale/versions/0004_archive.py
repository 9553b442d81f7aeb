"""Archive: which file holds a day, which days ClickHouse gave up, what is to be restored.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FILES = """
create table day_archives (
    day               date        not null,
    version           integer     not null check (version > 0),
    key               text        not null unique,
    row_count         bigint      not null check (row_count > 0),
    byte_count        bigint      not null,
    sha256            text        not null check (sha256 ~ '^[0-9a-f]{64}$'),
    footer_byte_count bigint      not null,
    footer_sha256     text        not null check (footer_sha256 ~ '^[0-9a-f]{64}$'),
    storage_class     text        not null,
    created_at        timestamptz not null,
    verified_at       timestamptz not null,
    damage            text,
    primary key (day, version)
);
comment on table day_archives is
    'One row per archived file of a UTC day that was read back and compared; files are never overwritten.';
comment on column day_archives.key is 'Below PISTON_ARCHIVE_URL.';
comment on column day_archives.damage is 'What the last verification found wrong; null: nothing.';

create table archive_restores (
    day            date        primary key,
    day_count      integer     not null check (day_count > 0),
    requested_by   text        not null,
    requested_at   timestamptz not null default now(),
    sent_at        timestamptz,
    restored_until timestamptz
);
comment on table archive_restores is
    'One row per day that somebody wants back from an offline storage class; sent_at: the storage was asked.';
"""

LEDGER = """
alter table day_loads
    add column archive_version integer,
    add column warm_dropped_at timestamptz,
    add check (warm_dropped_at is null or archive_version is not null),
    add foreign key (day, archive_version) references day_archives (day, version);
comment on column day_loads.archive_version is 'The file that holds the day as it was last archived.';
comment on column day_loads.warm_dropped_at is
    'Since when the archive is the one to ask; null: ClickHouse holds the day, or TimescaleDB alone.';
"""


def upgrade() -> None:
    op.execute(FILES)
    op.execute(LEDGER)


def downgrade() -> None:
    op.execute("alter table day_loads drop column warm_dropped_at, drop column archive_version")
    op.execute("drop table archive_restores")
    op.execute("drop table day_archives")

"""Backbone: devices, vehicles, the hypertable, stream offsets, dead letters, day ledger, partners.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REGISTRY = """
create table vehicles (
    vin        text primary key check (vin ~ '^[A-HJ-NPR-Z0-9]{17}$'),
    origin     text not null default 'live' check (origin in ('live', 'recorded', 'simulated')),
    make       text,
    model      text,
    model_year smallint check (model_year between 1950 and 2100),
    created_at timestamptz not null default now()
);
comment on table vehicles is 'One row per vehicle; origin tells lived data from recorded and simulated.';

create table devices (
    imei       text primary key check (imei ~ '^[0-9]{15}$'),
    family     text not null default 'F' check (family in ('F', 'OBD', 'CAN', 'OEM', '6xx')),
    status     text not null default 'active' check (status in ('active', 'retired')),
    created_at timestamptz not null default now()
);
comment on table devices is 'One row per tracker that may log in.';
comment on column devices.family is 'Teltonika family that keys the AVL id dictionary.';

create table device_installations (
    installation_id bigint generated always as identity primary key,
    imei            text not null references devices,
    vin             text not null references vehicles,
    installed_at    timestamptz not null default '-infinity',
    removed_at      timestamptz not null default 'infinity',
    odometer_source text check (odometer_source in ('can', 'obd', 'gnss')),
    check (installed_at < removed_at),
    constraint one_vehicle_at_a_time
        exclude using gist (imei with =, tstzrange(installed_at, removed_at) with &&)
);
comment on table device_installations is 'Which device sat in which vehicle from when to when (half-open).';
comment on column device_installations.odometer_source is
    'The one odometer that feeds telemetry.odometer: AVL 87 (can), else 389 (obd), else 16 (gnss).';
create index on device_installations (vin, installed_at);
"""

TELEMETRY = """
create table telemetry (
    time            timestamptz      not null,
    device_id       text             not null,
    vin             text,
    lat             double precision,
    lng             double precision,
    speed_mph       real,
    heading         smallint,
    altitude_ft     real,
    odometer        double precision,
    fuel_pct        real,
    battery_v       real,
    dtc_codes       text[],
    event_id        integer          not null,
    priority        smallint,
    satellites      smallint,
    hdop            real,
    is_valid        boolean,
    ignition        boolean,
    movement        boolean,
    rpm             integer,
    coolant_c       smallint,
    engine_load_pct smallint,
    maf_gps         real,
    ambient_c       smallint,
    fuel_trim_pct   smallint,
    hv_soc_pct      smallint,
    odometer_gnss_m bigint,
    odometer_can_m  bigint,
    odometer_obd_m  bigint,
    odometer_source text,
    crank_v         real,
    charge_v        real,
    harsh_kind      smallint,
    harsh_value     real,
    raw_data        jsonb,
    received_at     timestamptz      not null,
    content_hash    bigint           not null,
    stream_position bigint           not null
);
comment on table telemetry is
    'One row per AVL record or posted reading. Row identity: device_id, time, event_id, content_hash.';
comment on column telemetry.odometer is 'Miles, from the installation''s one source; never mixed.';
comment on column telemetry.dtc_codes is 'NULL: not known. {}: the device says there are none.';
comment on column telemetry.raw_data is 'AVL ids without a column: {"id": raw}, variable length as hex text.';
comment on column telemetry.harsh_kind is 'AVL 253: 1 acceleration, 2 braking, 3 cornering.';
comment on column telemetry.content_hash is 'xxh64 of the AVL record''s bytes, as a signed integer.';
comment on column telemetry.stream_position is 'Topic, partition, offset and record index packed.';
"""

# create_default_indexes => false: the identity index also serves device ranges and latest rows, and each
# further index costs a fifth of the COPY rate.
HYPERTABLE = """
select create_hypertable('telemetry', by_range('time', interval '1 day'), create_default_indexes => false);
create unique index telemetry_identity on telemetry (device_id, time, event_id, content_hash);
"""

STREAM = """
create table stream_offsets (
    consumer_group text   not null,
    topic          text   not null,
    partition      integer not null,
    cluster_id     text   not null,
    topic_id       text   not null,
    next_offset    bigint not null check (next_offset >= 0),
    updated_at     timestamptz not null default now(),
    primary key (consumer_group, topic, partition)
);
comment on table stream_offsets is
    'Next offset to read, written in the transaction that holds the effect of all before it.';

create table dead_letters (
    dead_letter_id bigint generated always as identity primary key,
    topic       text        not null,
    topic_id    text        not null,
    partition   integer     not null,
    message_offset bigint   not null,
    device_id   text,
    transport   text,
    received_at timestamptz,
    reason      text        not null,
    detail      text        not null,
    message     bytea       not null,
    status      text        not null default 'open' check (status in ('open', 'replayed', 'dropped')),
    created_at  timestamptz not null default now(),
    unique (topic_id, partition, message_offset)
);
comment on table dead_letters is 'One row per message that could not be decoded, whole and with the reason.';
"""

DAYS = """
create table hot_days (
    day             date   primary key,
    version         bigint not null,
    row_count       bigint not null,
    last_written_at timestamptz not null
);
comment on table hot_days is
    'One row per UTC day that the sink ever wrote; version grows with each batch that touches the day.';

create table day_loads (
    day            date        primary key,
    loaded_at      timestamptz not null,
    run_id         text        not null,
    row_count      bigint      not null,
    hot_version    bigint      not null,
    is_provisional boolean     not null,
    hot_dropped_at timestamptz
);
comment on table day_loads is
    'One row per day in ClickHouse. Dirty: hot_days.version > hot_version. The tier of a day is read here.';
"""

PARTNERS = """
create table partners (
    client_id   text primary key,
    name        text        not null unique,
    kind        text        not null check (kind in ('history', 'dealer', 'insurer')),
    tier        text        not null default 'standard' check (tier in ('standard', 'premium', 'enterprise')),
    scopes      text[]      not null,
    secret_hash text        not null,
    created_at  timestamptz not null default now(),
    disabled_at timestamptz
);
comment on table partners is 'One row per partner; the secret is kept as an Argon2id hash only.';

create table grants (
    grant_id   bigint generated always as identity primary key,
    client_id  text        not null references partners,
    vin        text        not null references vehicles,
    scopes     text[]      not null,
    purpose    text        not null,
    granted_at timestamptz not null default now(),
    expires_at timestamptz not null default 'infinity',
    revoked_at timestamptz,
    check (granted_at < expires_at)
);
comment on table grants is 'Consent: which partner may read what of which vehicle, and until when.';
create unique index one_open_grant on grants (client_id, vin, purpose) where revoked_at is null;

create table audit_events (
    audit_event_id bigint generated always as identity primary key,
    happened_at timestamptz not null default now(),
    actor       text        not null,
    action      text        not null,
    subject     text        not null,
    detail      jsonb       not null default '{}'
);
comment on table audit_events is 'Who changed devices, partners, grants; append-only.';
"""

TABLES = (
    "audit_events", "grants", "partners", "day_loads", "hot_days", "dead_letters", "stream_offsets",
    "telemetry", "device_installations", "devices", "vehicles",
)  # fmt: skip


def upgrade() -> None:
    for statements in (REGISTRY, TELEMETRY, HYPERTABLE, STREAM, DAYS, PARTNERS):
        op.execute(statements)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"drop table {table}")

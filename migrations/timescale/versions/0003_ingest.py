"""Ingest: commands to devices, what a device says it is, keys of HTTP ingestion, remembered answers.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IDENTITY = """
alter table devices
    add column model         text,
    add column firmware      text,
    add column identified_at timestamptz;
comment on column devices.model is 'Hardware as the device named it (getver); null: it has not answered yet.';
comment on column devices.identified_at is 'When model and firmware were last heard from the device.';
"""

# `one_command_outstanding` makes "one at a time" a rule of the database: two gateways that hold a socket of
# the same device cannot both have a command on the wire. `one_identification` makes `getver` asked once.
COMMANDS = """
create table device_commands (
    command_id    uuid        primary key default gen_random_uuid(),
    imei          text        not null references devices,
    codec         smallint    not null default 12 check (codec in (12, 14)),
    text          text        not null check (text <> '' and octet_length(text) <= 1024),
    status        text        not null default 'queued'
                  check (status in ('queued', 'sent', 'answered', 'expired', 'failed')),
    requested_by  text        not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    sent_at       timestamptz,
    answered_at   timestamptz,
    answer        text,
    session_owner text,
    attempts      integer     not null default 0 check (attempts >= 0),
    check (created_at < expires_at),
    check (status <> 'sent' or (sent_at is not null and session_owner is not null)),
    check ((status = 'answered') = (answered_at is not null))
);
comment on table device_commands is 'One row per command to a device; queued until its session can take it.';
comment on column device_commands.answer is 'What the device answered; of a failed command the reason.';
comment on column device_commands.session_owner is 'The gateway session that sent it last.';
create index on device_commands (imei, created_at);
create index open_commands on device_commands (expires_at) where status in ('queued', 'sent');
create unique index one_command_outstanding on device_commands (imei) where status = 'sent';
create unique index one_identification on device_commands (imei) where requested_by = 'gateway';
"""

KEYS = """
create table device_keys (
    key_id       text        primary key,
    imei         text        not null references devices,
    secret_hash  text        not null,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at   timestamptz
);
comment on table device_keys is 'Keys of HTTP ingestion, one device each; only a hash of the secret is kept.';
create index on device_keys (imei);

create table idempotency_keys (
    client      text        not null,
    key         text        not null,
    fingerprint text        not null,
    status      smallint,
    body        jsonb,
    created_at  timestamptz not null default now(),
    primary key (client, key),
    check ((status is null) = (body is null))
);
comment on table idempotency_keys is
    'One row per Idempotency-Key of a client; status and body are null while its first request still runs.';
create index on idempotency_keys (created_at);
"""

TABLES = ("idempotency_keys", "device_keys", "device_commands")


def upgrade() -> None:
    for statements in (IDENTITY, COMMANDS, KEYS):
        op.execute(statements)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"drop table {table}")
    op.execute("alter table devices drop column identified_at, drop column firmware, drop column model")

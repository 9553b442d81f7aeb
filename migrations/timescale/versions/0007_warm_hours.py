"""Hours of days that left the hot tier, counted again from ClickHouse, where late rows join their day.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WARM_HOURS = """
create table warm_hours (
    bucket       timestamptz not null,
    device_id    text        not null,
    vin          text,
    avg_speed    double precision,
    miles_driven double precision,
    data_points  bigint      not null
);
create index on warm_hours (bucket);
comment on table warm_hours is
    'Hours of days that left the hot tier, as ClickHouse holds them; replaced by whole days, read by dbt.';

create table warm_hour_days (
    day        date        primary key,
    counted_at timestamptz not null
);
comment on table warm_hour_days is
    'One row per day whose hours stand in warm_hours, also where it has none.';
"""


def upgrade() -> None:
    op.execute(WARM_HOURS)


def downgrade() -> None:
    op.execute("drop table warm_hour_days")
    op.execute("drop table warm_hours")

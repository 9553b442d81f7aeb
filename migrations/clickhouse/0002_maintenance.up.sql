-- Day signals that were not measured from records here but loaded from files (warehouse.backfill). A load is one
-- partition; only loads that stand in backfill_loads are whole, and dbt reads only those.
create table if not exists analytics.loaded_component_day_signals (
    vin              String,
    date             Date,
    origin           LowCardinality(String),
    known_at         DateTime64(3, 'UTC') codec(Delta, Default),
    start_count      UInt16,
    crank_count      UInt16,
    crank_min_v      Nullable(Float64) codec(Gorilla, Default),
    crank_mean_v     Nullable(Float64) codec(Gorilla, Default),
    rest_v           Nullable(Float64) codec(Gorilla, Default),
    rest_min_v       Nullable(Float64) codec(Gorilla, Default),
    charge_v         Nullable(Float64) codec(Gorilla, Default),
    charge_min_v     Nullable(Float64) codec(Gorilla, Default),
    ambient_c        Nullable(Float64) codec(Gorilla, Default),
    engine_on_s      Float64,
    short_trip_count UInt16,
    distance_m       Nullable(Float64),
    dtc_codes        Array(LowCardinality(String)),
    dtc_known        Bool,
    load_id          String
)
engine = MergeTree
partition by load_id
order by (date, vin)
comment 'One row per load, vehicle and UTC day; loads without a row in backfill_loads are incomplete.';

create table if not exists analytics.backfill_loads (
    load_id      String,
    rows         UInt64,
    completed_at DateTime64(3, 'UTC')
)
engine = MergeTree
order by load_id
comment 'One row per complete load of day signals: the commit marker, written last.';

-- PostgreSQL owns these two; the copies are replaced as a whole (warehouse.reference_copy).
create table if not exists analytics.vehicles (
    vin        String,
    origin     LowCardinality(String),
    make       Nullable(String),
    model      Nullable(String),
    model_year Nullable(Int16)
)
engine = MergeTree
order by vin
comment 'One row per vehicle: a copy of the registry.';

create table if not exists analytics.service_records (
    vin         String,
    component   LowCardinality(String),
    kind        LowCardinality(String),
    performed_on Date,
    recorded_at DateTime64(3, 'UTC'),
    odometer_mi Nullable(Float64),
    reason      LowCardinality(String)
)
engine = MergeTree
order by (vin, component, performed_on)
comment 'One row per repair or replacement: a copy of the hot store''s table.';

-- What the models say, written by Python (warehouse.predictions). A scoring replaces its day as a whole.
create table if not exists analytics.maintenance_predictions (
    vin               String,
    component         LowCardinality(String),
    as_of             Date,
    origin            LowCardinality(String),
    risk_level        LowCardinality(String),
    risk_30           Nullable(Float64),
    risk_90           Nullable(Float64),
    estimated_failure Nullable(Date),
    earliest_failure  Nullable(Date),
    latest_failure    Nullable(Date),
    confidence        Nullable(Float64),
    data_sufficiency  Float64,
    reason            String,
    evidence          String,
    survival          Array(Float64),
    model_id          String,
    trained_on        String,
    scored_at         DateTime64(3, 'UTC')
)
engine = MergeTree
partition by as_of
order by (vin, component)
comment 'One row per vehicle, component and as_of.';

create table if not exists analytics.health_scores (
    vin          String,
    as_of        Date,
    origin       LowCardinality(String),
    health_score Nullable(UInt8),
    parts        String,
    rule         String,
    is_capped    Bool,
    scored_at    DateTime64(3, 'UTC')
)
engine = MergeTree
partition by as_of
order by vin
comment 'One row per vehicle and as_of.';

"""Every setting of Piston, read from the environment (`PISTON_…`) or a `.env` file in the working folder.

`.env.example` lists them all. Nothing here connects or creates anything.
"""

import os
from datetime import date
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from telematics import names
from telematics.errors import ConfigurationError
from telematics.standard_webhooks import signing_key

DEVELOPMENT_SECRET = "piston-development-only"  # noqa: S105 - refused outside development and test


class Environment(StrEnum):
    """Where this process runs; decides whether default secrets are acceptable."""

    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


def default_home() -> Path:
    """A folder outside the clone that the servers' user can reach.

    Root's own home is closed to other users, and PostgreSQL refuses to run as root, so root gets the
    system's folder for state (FHS 3.0, /var/lib) and everybody else their XDG data folder.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/piston")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "piston"


class Settings(BaseSettings):
    """The settings, validated; build one with `load_settings()`."""

    model_config = SettingsConfigDict(env_prefix="PISTON_", env_file=".env", extra="ignore", frozen=True)

    environment: Environment = Environment.DEVELOPMENT

    home: Path = Field(default_factory=default_home, description="Programs and data, unless moved apart.")
    programs_dir: Path | None = Field(None, description="Installed servers; default HOME/programs.")
    data_dir: Path | None = Field(None, description="Data, logs and state; default HOME/data.")
    models_dir: Path | None = Field(
        None, description="Training sets and the registry of models; default DATA_DIR/models."
    )
    cold_dir: Path | None = Field(
        None, description="ClickHouse's second volume, for days past warm retention; default DATA_DIR/cold."
    )
    server_user: str | None = Field(
        None,
        description="Who runs the servers when started by root; default postgres if it exists, else nobody.",
    )

    host: str = Field("127.0.0.1", description="Address that the local servers listen on.")
    kafka_port: int = Field(19092, ge=1, le=65535)
    kafka_controller_port: int = Field(19093, ge=1, le=65535)
    timescale_port: int = Field(15432, ge=1, le=65535)
    clickhouse_http_port: int = Field(18123, ge=1, le=65535)
    clickhouse_tcp_port: int = Field(19000, ge=1, le=65535)
    valkey_port: int = Field(16379, ge=1, le=65535)
    search_port: int = Field(19200, ge=1, le=65535)
    search_transport_port: int = Field(19300, ge=1, le=65535)
    with_search: bool = Field(
        True, description="false: the stack has no Elasticsearch, and searches are answered 503."
    )

    gateway_host: str = Field("127.0.0.1", description="Address of the device port.")
    gateway_port: int = Field(5027, ge=1, le=65535)
    gateway_udp_port: int | None = Field(
        None, ge=0, le=65535, description="UDP device port; default the number of the TCP one, 0 is off."
    )
    gateway_tls_port: int | None = Field(
        None, ge=1, le=65535, description="TLS beside the plain port; default: TLS takes its place."
    )
    gateway_tls_certificate: Path | None = Field(
        None, description="PEM file of the certificate chain; with a key, devices connect over TLS."
    )
    gateway_tls_key: Path | None = Field(None, description="PEM file of the certificate's private key.")
    gateway_processes: int = Field(
        1, ge=1, le=256, description="Gateways that share the device port (SO_REUSEPORT), one a processor."
    )
    unknown_devices: Literal["refuse", "quarantine"] = Field(
        "refuse",
        description="quarantine lets unknown devices log in and keeps their frames in a topic of its own.",
    )
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=1, le=65535)
    dagster_host: str = "127.0.0.1"
    dagster_port: int = Field(3000, ge=1, le=65535)
    metrics_port: int = Field(0, ge=0, le=65535, description="First port for Prometheus metrics; 0 is off.")

    kafka_servers: str | None = Field(None, description="Bootstrap servers; default the stack's own.")
    timescale_user: str = "piston"
    timescale_password: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    clickhouse_user: str = "piston"
    clickhouse_password: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    clickhouse_reader_user: str = "piston_reader"
    clickhouse_reader_password: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    valkey_password: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    search_url: str | None = Field(None, description="Elasticsearch's address; default the stack's own.")
    search_user: str = "piston"
    search_password: SecretStr = SecretStr(DEVELOPMENT_SECRET)

    token_private_key: SecretStr | None = Field(
        None,
        description="PEM of the EC P-256 key that signs tokens. Development makes one in the data folder.",
    )
    token_lifetime_s: int = Field(600, ge=60, le=3600)
    token_issuer: str | None = Field(None, description="`iss` of tokens; default the API's own address.")
    token_audience: str = "piston-partner-api"  # noqa: S105 - a name, not a secret

    first_day: date = Field(
        date(2024, 1, 1),
        description="First daily partition in Dagster; two years of history lie after it.",
    )
    device_time_earliest: date = Field(
        date(2010, 1, 1),
        ge=date(2000, 1, 1),
        description="Records from before it are dead letters: the device had no clock.",
    )
    device_time_ahead_h: int = Field(
        24, ge=1, description="Hours that a device's clock may be ahead; records beyond are dead letters."
    )
    hot_retention_days: int = Field(7, ge=1, description="Days that TimescaleDB keeps after they are merged.")
    warm_retention_days: int = Field(
        90, ge=1, description="Days on ClickHouse's first volume; then recompressed, on the second."
    )
    cold_retention_days: int = Field(
        730, ge=1, description="Days in ClickHouse at all; then archived, checked and dropped there."
    )

    archive_url: str | None = Field(
        None, description="Folder or s3://bucket/prefix of the archive; default DATA_DIR/archive."
    )
    archive_endpoint: str | None = Field(
        None, description="Address of an S3 server that is not Amazon's, for example http://127.0.0.1:9000."
    )
    archive_region: str = "us-east-1"
    archive_access_key: str | None = Field(
        None, description="Default: what the AWS environment, profile or machine role gives."
    )
    archive_secret_key: SecretStr | None = None
    archive_storage_class: Literal[
        "STANDARD",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
        "GLACIER",
        "DEEP_ARCHIVE",
    ] = Field("STANDARD", description="Of the archived days on S3; their manifests are always STANDARD.")
    archive_restore_tier: Literal["Bulk", "Standard", "Expedited"] = Field(
        "Bulk", description="How fast, and how dear, Glacier gives a day back."
    )
    archive_timeout_s: float = Field(
        30.0, gt=0, description="Silence of the object storage for this long ends an attempt."
    )

    alert_webhook_url: str | None = Field(
        None, description="Where failed runs and failed checks are posted; http(s). Default: nowhere."
    )
    alert_webhook_secret: SecretStr | None = Field(
        None, description="whsec_…: signs what is posted (Standard Webhooks). Default: unsigned."
    )

    gateway_max_frame_bytes: int = Field(
        65_536,
        ge=1280,
        description="Longest data field accepted. Devices are specified to 1,280 B but real ones send more.",
    )
    gateway_idle_timeout_s: float = Field(
        300.0, gt=0, description="A silent device is disconnected after this."
    )
    gateway_login_timeout_s: float = Field(15.0, gt=0, description="A peer that does not log in is dropped.")
    gateway_frame_timeout_s: float = Field(
        30.0, gt=0, description="A frame that was begun and is not complete after this ends the connection."
    )
    gateway_max_connections: int = Field(20_000, ge=1)
    gateway_max_frames_per_s: float = Field(
        1_000.0, ge=0, description="What one device may send; then it is read slower. 0 is no limit."
    )
    command_quiet_s: float = Field(
        1.0, ge=0, description="A command waits until its device was silent this long: its backlog is sent."
    )
    command_answer_timeout_s: float = Field(
        30.0, gt=0, description="A command without an answer by then is sent again, three times in all."
    )
    ask_version: bool = Field(True, description="Ask each new device once what it is (getver).")
    gateway_linger_ms: float = Field(
        5.0, ge=0, description="How long frames wait for others to share a request to Kafka."
    )
    gateway_delivery_timeout_s: float = Field(
        30.0, gt=0.1, description="A frame that Kafka has not confirmed by then is given up, unacknowledged."
    )
    gateway_queue_kbytes: int = Field(
        131_072, ge=1024, description="Most memory for unconfirmed frames; then devices are not read."
    )
    gateway_drain_timeout_s: float = Field(
        10.0, ge=0, description="Longest wait, when stopping, for frames that Kafka has not confirmed."
    )
    api_delivery_timeout_s: float = Field(
        10.0, gt=0.1, description="A posted reading that Kafka has not confirmed by then is a 503."
    )
    sink_batch_frames: int = Field(3_000, ge=1, description="At most this many frames in one transaction.")
    search_feed_s: float = Field(
        5.0, gt=0, description="How often changed live states are written into the search index."
    )
    sink_linger_s: float = Field(0.1, gt=0, description="Longest wait for a batch to fill.")

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("home", "programs_dir", "data_dir", "models_dir", "cold_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("alert_webhook_url")
    @classmethod
    def _over_http(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith(("http://", "https://")) and urlsplit(value).hostname):
            message = "is not an http:// or https:// address"
            raise ValueError(message)
        return value

    @field_validator("alert_webhook_secret")
    @classmethod
    def _signing_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                signing_key(value.get_secret_value())
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _refuse_default_secrets(self) -> Self:
        if self.environment in (Environment.DEVELOPMENT, Environment.TEST):
            return self
        for name in (
            "timescale_password",
            "clickhouse_password",
            "clickhouse_reader_password",
            "valkey_password",
            "search_password",
        ):
            if getattr(self, name).get_secret_value() == DEVELOPMENT_SECRET:
                message = f"PISTON_{name.upper()} still has its development value; set a secret of your own"
                raise ValueError(message)
        if self.token_private_key is None:
            message = (
                "PISTON_TOKEN_PRIVATE_KEY is not set; outside development the signing key comes from there"
            )
            raise ValueError(message)
        return self

    @property
    def programs(self) -> Path:
        """Folder of the installed servers."""
        return self.programs_dir or self.home / "programs"

    @property
    def data(self) -> Path:
        """Folder of all data, logs, process ids and state of this stack."""
        return self.data_dir or self.home / "data"

    @property
    def models(self) -> Path:
        """Folder of training sets, evaluations and the registry of models."""
        return self.models_dir or self.data / "models"

    @property
    def cold(self) -> Path:
        """Folder of ClickHouse's second volume."""
        return self.cold_dir or self.data / "cold"

    @property
    def archive(self) -> str:
        """Where archived days lie: an absolute folder or an s3:// URL."""
        return self.archive_url or str(self.data / "archive")

    @property
    def state(self) -> Path:
        """Folder of small state that must survive: signing key, replay ledgers and offset."""
        return self.data / "state"

    @property
    def kafka_bootstrap(self) -> str:
        """Bootstrap servers of Kafka."""
        return self.kafka_servers or f"{self.host}:{self.kafka_port}"

    def timescale_dsn(self, database: str = names.TELEMETRY_DATABASE) -> str:
        """A libpq connection string, password included: never log it."""
        password = self.timescale_password.get_secret_value()
        return (
            f"host={self.host} port={self.timescale_port} dbname={database} user={self.timescale_user} "
            f"password='{password}' options='-c timezone=UTC'"
        )

    def valkey_url(self) -> str:
        """A redis:// URL, password included: never log it."""
        return f"redis://:{self.valkey_password.get_secret_value()}@{self.host}:{self.valkey_port}/0"

    @property
    def search_address(self) -> str:
        """Elasticsearch's URL, without credentials."""
        return self.search_url or f"http://{self.host}:{self.search_port}"

    @property
    def issuer(self) -> str:
        """The `iss` claim of access tokens."""
        return self.token_issuer or f"http://{self.api_host}:{self.api_port}"


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: a variable is missing or wrong; the message names each one, never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            (f"PISTON_{'_'.join(str(part) for part in item['loc']).upper()}: " if item["loc"] else "")
            + item["msg"]
            for item in error.errors()
        )
        message = f"settings: {problems} (see .env.example)"
        raise ConfigurationError(message) from None


@lru_cache(maxsize=1)
def current_settings() -> Settings:
    """The settings, read once a process. Tests build `Settings(...)` and pass it instead."""
    return load_settings()

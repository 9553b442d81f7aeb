"""Dagster's instance: its folder, its `dagster.yaml`, and the environment that its processes need.

The file holds no secret: passwords are read from the environment, which `environment_of` fills.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from telematics import names
from telematics.settings import Settings

MAX_RUNS_AT_ONCE: Final = 2
"""Two cores: a long range and the refresh of today side by side; pools keep them apart where they must be."""

EVENT_BATCH_SIZE: Final = 1_000
"""A year of days is one planned and one materialised event for each asset and day: 83 s alone when each is
stored by itself, 53 s in batches of a thousand (measured)."""

WAIT_POLICY: Final = "PASSIVE"
"""Threads of a training that wait for one another sleep. Spinning instead, on two cores that other processes
use too, a fit of 4 s took 108 s (measured)."""


def home_of(settings: Settings) -> Path:
    """DAGSTER_HOME of this stack."""
    return settings.data / "dagster"


def instance_configuration(settings: Settings) -> dict[str, object]:
    """What `dagster.yaml` says."""
    home = home_of(settings)
    return {
        "storage": {
            "custom": {
                "module": "orchestration.storage",
                "class": "PooledPostgresStorage",
                "config": {
                    "postgres_db": {
                        # SQLAlchemy 2.1 takes psycopg 3 for plain postgresql://, dagster-postgres cannot
                        "scheme": "postgresql+psycopg2",
                        "hostname": settings.host,
                        "port": settings.timescale_port,
                        "db_name": names.DAGSTER_DATABASE,
                        "username": settings.timescale_user,
                        "password": {"env": "PISTON_TIMESCALE_PASSWORD"},
                    }
                },
            }
        },
        "compute_logs": {
            "module": "dagster.core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(home / "compute_logs")},
        },
        "local_artifact_storage": {
            "module": "dagster.core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home)},
        },
        "concurrency": {
            "runs": {"max_concurrent_runs": MAX_RUNS_AT_ONCE},
            "pools": {"default_limit": 1, "granularity": "op"},
        },
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 300,
            "max_runtime_seconds": 7_200,
            "free_slots_after_run_end_seconds": 60,
            "poll_interval_seconds": 60,
        },
        "retention": {
            "schedule": {"purge_after_days": 30},
            "sensor": {"purge_after_days": {"skipped": 1, "started": 30, "success": 30, "failure": 30}},
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def write_home(settings: Settings) -> Path:
    """Create DAGSTER_HOME with its `dagster.yaml`; returns the folder."""
    home = home_of(settings)
    home.mkdir(parents=True, exist_ok=True)
    text = json.dumps(instance_configuration(settings), indent=1) + "\n"  # JSON is YAML
    path = home / "dagster.yaml"
    if not path.exists() or path.read_text() != text:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(path)  # another process may be reading it
    return home


def environment_of(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that loads this instance: every setting explicit, nothing sent home."""
    environment = {key: value for key, value in base.items() if key not in _unset_settings(settings)}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            environment[f"PISTON_{name.upper()}"] = str(plain)
    return {
        **environment,
        "DAGSTER_HOME": str(home_of(settings)),
        "DAGSTER_EVENT_BATCH_SIZE": str(EVENT_BATCH_SIZE),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "OMP_WAIT_POLICY": WAIT_POLICY,
    }


def _unset_settings(settings: Settings) -> set[str]:
    return {
        f"PISTON_{name.upper()}" for name in type(settings).model_fields if getattr(settings, name) is None
    }

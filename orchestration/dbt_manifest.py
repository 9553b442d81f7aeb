"""dbt's manifests: what Dagster reads to know the models, made before it is asked.

Parsing takes dbt seconds, so each target's manifest lies below `dbt_project/target/` with a digest of what
it was made from, and is only made again when that changes. Making one needs no server.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from telematics.errors import ConfigurationError

PROJECT: Final = Path(__file__).resolve().parent.parent / "dbt_project"
TARGETS: Final = ("timescale", "clickhouse")
DBT: Final = Path(sys.executable).with_name("dbt")
"""The dbt of this environment, also when the environment is not on the PATH."""

_DIGEST_FILE: Final = "sources.sha256"
_SOURCE_SUFFIXES: Final = {".sql", ".yml"}
_READ_WHILE_PARSING: Final = (
    "PISTON_TIMESCALE_EDITION",
    "PISTON_ANALYTICS_DATABASE",
    "PISTON_TELEMETRY_DATABASE",
)


def target_path(target: str) -> Path:
    """Where a target's artefacts lie."""
    return PROJECT / "target" / target


def source_files(project: Path = PROJECT) -> list[Path]:
    """The files that a manifest is made from, sorted."""
    return sorted(
        path
        for path in project.rglob("*")
        if path.suffix in _SOURCE_SUFFIXES and path.relative_to(project).parts[0] not in ("target", "logs")
    )


def digest_of(project: Path, files: Iterable[Path], surroundings: Iterable[str]) -> str:
    """SHA-256 over names and contents of the files, and over what else decides how they are read."""
    digest = hashlib.sha256()
    for text in surroundings:
        digest.update(text.encode() + b"\0")
    for path in files:
        digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def sources_digest() -> str:
    """The digest of the project as it lies here, with dbt's versions and the variables that it reads."""
    versions = [f"{name}={version(name)}" for name in ("dbt-core", "dbt-clickhouse", "dbt-postgres")]
    variables = [f"{name}={os.environ.get(name, '')}" for name in _READ_WHILE_PARSING]
    return digest_of(PROJECT, source_files(), [*versions, *variables])


def is_current(target: str, digest: str) -> bool:
    """Whether the target's manifest was made from sources with this digest."""
    noted = target_path(target) / _DIGEST_FILE
    return (
        noted.is_file() and noted.read_text() == digest and (target_path(target) / "manifest.json").is_file()
    )


def ensure_manifest(target: str) -> Path:
    """The target's manifest, made now if the sources changed since it was made.

    Raises:
        ConfigurationError: dbt cannot parse the project; the message ends with what dbt says.
    """
    digest, folder = sources_digest(), target_path(target)
    if not is_current(target, digest):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "manifest.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_current(target, digest):
                _parse(target)
                (folder / _DIGEST_FILE).write_text(digest)
    return folder / "manifest.json"


def contracts(target: str) -> dict[str, dict[str, str]]:
    """Types by column of each model of the target that has a contract, by table."""
    manifest = json.loads(ensure_manifest(target).read_text())
    return {
        node["alias"]: {column["name"]: column["data_type"] for column in node["columns"].values()}
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["contract"]["enforced"]
    }


def source_columns(target: str, table: str) -> dict[str, str]:
    """What the project says of each column of a table that dbt reads and does not make."""
    manifest = json.loads(ensure_manifest(target).read_text())
    return {
        column["name"]: column["description"]
        for source in manifest["sources"].values()
        if source["identifier"] == table
        for column in source["columns"].values()
    }


def _parse(target: str) -> None:
    parsed = subprocess.run(
        [
            DBT, "--quiet", "parse", "--project-dir", PROJECT, "--profiles-dir", PROJECT,
            "--target", target, "--target-path", target_path(target), "--log-path", target_path(target),
        ],
        capture_output=True, text=True, check=False,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
    )  # fmt: skip
    if parsed.returncode != 0:
        said = (parsed.stdout + parsed.stderr).strip()
        message = f"dbt cannot parse {PROJECT.name} for target {target}:\n{said}"
        raise ConfigurationError(message)


if __name__ == "__main__":
    for each in TARGETS:
        ensure_manifest(each)

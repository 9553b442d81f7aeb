"""dbt as Dagster's resource, without what costs seconds in each step.

dagster-dbt asks `dbt --version` and builds the adapter in its own process before every call, which parses all
macros again (3 s measured), and looks for dbt's parse cache in one fixed folder only. Here the version comes
from the installed package, no adapter is built, and each target keeps its parse cache in the data folder: it
depends on the ports, and two stacks may share a clone. `_cli_version` and `_initialize_dbt_core_adapter` are
private to dagster-dbt, whose version is pinned; `tests/orchestration/test_dbt_runs.py` watches them.
"""

import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster_dbt import DbtCliResource
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version

from orchestration.dbt_manifest import target_path
from orchestration.dbt_metadata import ModelMetadata
from orchestration.faults import MAX_RETRIES, SECONDS_BETWEEN, answers, told_apart

PARSE_CACHE: Final = "partial_parse.msgpack"
KEPT_RUNS: Final = 20
"""Folders of past dbt runs (logs, compiled SQL) that are kept for each target."""


class DbtRuns(DbtCliResource):
    """dbt for one target."""

    @property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None

    def build(
        self,
        context: dg.AssetExecutionContext,
        data: Path,
        server: tuple[str, int],
        flags: Sequence[str],
        metadata: ModelMetadata,
    ) -> Iterator[Any]:
        """Build what the step selects, yielding Dagster's events.

        Args:
            context: the step.
            data: the stack's data folder.
            server: host and port of the target's server, to tell an outage from a mistake.
            flags: further flags of `dbt build`.
            metadata: tells what to show of each model.

        Raises:
            dagster.RetryRequested: dbt failed and its server does not answer.
            DagsterDbtCliRuntimeError: dbt failed.
        """
        runs = data / "dagster" / "dbt" / str(self.target)
        folder = runs / f"{context.run_id}-{context.retry_number}"
        folder.mkdir(parents=True, exist_ok=True)
        bring_parse_cache([runs / PARSE_CACHE, target_path(str(self.target)) / PARSE_CACHE], folder)
        # unit tests need no data and prove nothing about a day: `make test` runs them
        arguments = ["build", "--exclude-resource-type", "unit_test", *flags]
        try:
            for event in self.cli(arguments, context=context, target_path=folder).stream():
                if isinstance(event, dg.Output):
                    with told_apart():
                        metadata.add_to(context, context.asset_key_for_output(event.output_name), folder)
                yield event
        except DagsterDbtCliRuntimeError as error:
            if not answers(*server):
                raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=SECONDS_BETWEEN) from error
            raise
        keep_parse_cache(folder, runs)
        metadata.save()
        forget_old_runs(runs, KEPT_RUNS)


def bring_parse_cache(candidates: Sequence[Path], folder: Path) -> None:
    """Copy the first parse cache that exists into a run's folder."""
    for cache in candidates:
        if cache.is_file():
            shutil.copyfile(cache, folder / PARSE_CACHE)
            return


def keep_parse_cache(folder: Path, runs: Path) -> None:
    """Keep a run's parse cache for the next one; replaced at once, another run may be reading it."""
    made = folder / PARSE_CACHE
    if made.is_file():
        made.replace(runs / PARSE_CACHE)


def forget_old_runs(runs: Path, keep: int) -> None:
    """Remove all but the newest run folders."""
    folders = sorted(
        (path for path in runs.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime
    )
    for folder in folders[:-keep]:
        shutil.rmtree(folder, ignore_errors=True)

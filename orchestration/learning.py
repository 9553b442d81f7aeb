"""What a model of a component learns from, as the warehouse has it; no Dagster in here.

Training in Dagster and `piston evaluate` call the same functions, so both speak of the same rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from telematics.errors import ConfigurationError, NotFoundError
from telematics.names import Origin
from telematics.settings import Settings
from warehouse import clients, model_data

if TYPE_CHECKING:
    import pandas as pd

    from ml.dataset import TrainingSet
    from ml.oracle import Oracle

COMPONENTS: Final = ("battery",)
MIN_LIVE_FAILURES: Final = 100
"""Recorded failures of real cars before a model learns from them alone (models.md 5, an assumption)."""
ORACLE_FILES: Final = (Path("oracle") / "battery_days.parquet", Path("oracle") / "failures.parquet")


@dataclass(frozen=True, slots=True)
class OriginChoice:
    """Whose history is learnt from, and why in a sentence."""

    origins: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """The rows that a training set is built from.

    Attributes:
        component: what fails.
        features: landmark rows of `ftr_component_days`.
        service_records: every record, whatever the vehicle's origin.
        data_until: the last complete UTC day of the history.
        choice: whose history it is.
    """

    component: str
    features: "pd.DataFrame"
    service_records: "pd.DataFrame"
    data_until: date
    choice: OriginChoice

    def build(self) -> "TrainingSet":
        """The training set.

        Raises:
            TooFewFailuresError: the history holds too little.
        """
        from ml.dataset import build_training_set

        return build_training_set(self.features, self.service_records, data_until=self.data_until)


def refuse_unknown_component(component: str) -> None:
    """Raise unless there are models of the component.

    Raises:
        ConfigurationError: there are none.
    """
    if component not in COMPONENTS:
        message = f"there is no model of the component {component}: choose {' or '.join(COMPONENTS)}"
        raise ConfigurationError(message)


def choose_origins(live_failures: int, asked: Sequence[str]) -> OriginChoice:
    """Whose history to learn from: what was asked for, else live cars if they have failed often enough.

    Raises:
        ConfigurationError: an origin that does not exist was asked for.
    """
    if asked:
        known = [origin.value for origin in Origin]
        for origin in asked:
            if origin not in known:
                message = f"there is no origin {origin}: choose among {', '.join(known)}"
                raise ConfigurationError(message)
        origins = tuple(dict.fromkeys(asked))
        return OriginChoice(origins, f"{' and '.join(origins)} vehicles, as asked for")
    counted = f"{live_failures} recorded failures of live vehicles"
    if live_failures >= MIN_LIVE_FAILURES:
        return OriginChoice((Origin.LIVE.value,), f"live vehicles: there are {counted}")
    return OriginChoice(
        (Origin.SIMULATED.value,),
        f"simulated vehicles: there are only {counted}, fewer than {MIN_LIVE_FAILURES}",
    )


def count_failures(service_records: "pd.DataFrame", component: str, origin: str) -> int:
    """Recorded failures of the component among vehicles of one origin: replacements but preventive ones."""
    wanted = (
        (service_records["component"] == component)
        & (service_records["kind"] == "replacement")
        & (service_records["reason"] != "preventive")
        & (service_records["origin"] == origin)
    )
    return int(wanted.sum())


def read_history(settings: Settings, component: str, asked: Sequence[str] = ()) -> History:
    """The warehouse's history of a component.

    Args:
        settings: where ClickHouse is.
        component: one of COMPONENTS.
        asked: origins to learn from; none lets `choose_origins` decide.

    Raises:
        ConfigurationError: unknown component or origin.
        NotFoundError: there are no features of these origins yet.
        UnavailableError: ClickHouse does not answer.
    """
    from ml.dataset import STEP_DAYS

    refuse_unknown_component(component)
    records = model_data.read_service_records(settings)
    choice = choose_origins(count_failures(records, component, Origin.LIVE.value), asked)
    span = model_data.feature_span(settings, choice.origins, component=component)
    if span is None:
        message = (
            f"there are no features of {' or '.join(choice.origins)} vehicles yet: load a history with "
            "`piston backfill FOLDER` and build its days with features_job"
        )
        raise NotFoundError(message)
    features = model_data.read_features(
        settings,
        choice.origins,
        span.first,
        span.last_complete + timedelta(days=1),
        component=component,
        step_days=STEP_DAYS,
    )
    return History(component, features, records, span.last_complete, choice)


def oracle_folders(settings: Settings, folder: Path | None = None) -> list[Path]:
    """Folders with the simulator's own truth: the one named, else those of completed backfills.

    A backfill's folder counts only as long as it holds what was loaded: generated again with other
    parameters, it has the truth of other cars under the same VINs.

    Raises:
        ConfigurationError: a folder was named and does not hold it.
        UnavailableError: TimescaleDB does not answer.
    """
    if folder is not None:
        missing = [str(name) for name in ORACLE_FILES if not (folder.expanduser() / name).is_file()]
        if missing:
            message = f"{folder} has no {missing[0]}: name a folder that `piston simulate fleet` wrote"
            raise ConfigurationError(message)
        return [folder.expanduser()]
    return [
        path for path in loaded_folders(settings) if all((path / name).is_file() for name in ORACLE_FILES)
    ]


def loaded_folders(settings: Settings) -> list[Path]:
    """Folders of completed backfills that still hold what was loaded, the newest load first.

    Raises:
        UnavailableError: TimescaleDB does not answer.
    """
    return [folder for load_id, folder in _loads(settings) if holds_load(folder, load_id)]


def is_loaded(settings: Settings, folder: Path) -> bool:
    """Whether the files of a folder were loaded, from there or from a copy.

    Raises:
        UnavailableError: TimescaleDB does not answer.
    """
    return any(holds_load(folder, load_id) for load_id, _ in _loads(settings))


def _loads(settings: Settings) -> list[tuple[str, Path]]:
    with clients.timescale(settings) as connection:
        rows = connection.execute(
            "select load_id, folder from backfills where status = 'complete' order by completed_at desc"
        ).fetchall()
    return [(load_id, Path(folder)) for load_id, folder in rows]


def holds_load(folder: Path, load_id: str) -> bool:
    """Whether the folder's files are those of the load."""
    from warehouse.backfill import FolderError
    from warehouse.backfill.folder import open_folder

    try:
        return open_folder(folder).load_id == load_id
    except FolderError:
        return False


def read_oracle(folders: Sequence[Path], vins: Collection[str]) -> "Oracle | None":
    """What the simulator knows of these vehicles; None where it knows none of them.

    Where folders overlap, the one named first counts.
    """
    import pandas as pd

    from ml.oracle import Oracle

    if not folders:
        return None
    wanted = [("vin", "in", set(vins))]
    days, failures = (
        pd.concat([pd.read_parquet(folder / name, filters=wanted) for folder in folders], ignore_index=True)
        for name in ORACLE_FILES
    )
    if days.empty:
        return None
    return Oracle(
        days.drop_duplicates(["vin", "date"], ignore_index=True),
        failures.drop_duplicates(["vin", "failed_on"], ignore_index=True),
    )

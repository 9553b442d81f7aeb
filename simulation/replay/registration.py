"""The sources' devices in the registry, before the first of them knocks."""

from collections.abc import Sequence

from ingest.registry.models import Registration
from ingest.registry.repository import connect, register_fleet
from simulation.replay.source import RecordSource
from telematics.settings import Settings

ACTOR = "piston replay"


def register_sources(settings: Settings, sources: Sequence[RecordSource]) -> Registration:
    """Register every source's device and vehicle, all or none; those that are there stay as they are.

    Raises:
        UnavailableError: the database does not answer.
        ConflictError: a device contradicts what is registered.
    """
    with connect(settings, "replay") as connection:
        return register_fleet(connection, [source.device for source in sources], ACTOR)

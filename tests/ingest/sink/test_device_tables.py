"""Devices keep their numbers while the registry says the same, and get another when it changes."""

from ingest.registry_cache import RegistryCache
from ingest.sink.device_tables import DeviceTables
from ingest.sink.element_rules import element_rules
from ingest.sink.placing import NOT_CHOSEN, SOURCES
from telematics.names import OdometerSource
from tests.ingest.making import make_installation, make_registry

IMEI = b"001000000000017"
MOVED = [
    make_installation(installation_id=1, vin="0VE00000000000001", end_ms=1000),
    make_installation(installation_id=2, vin="0VE00000000000002", start_ms=1000, odometer_source=None),
]


def make_tables() -> DeviceTables:
    tables = DeviceTables(element_rules())
    tables.begin()
    return tables


def test_a_device_is_one_entry_with_its_installations_side_by_side() -> None:
    tables = make_tables()
    number = tables.meet(IMEI, make_registry(*MOVED), {})
    device = tables.devices[number]
    assert tables.imeis[number].tobytes() == IMEI
    vins = [tables.vins[n].tobytes() for n in range(device["installation_start"], device["installation_end"])]
    assert vins == [b"0VE00000000000001", b"0VE00000000000002"]
    assert tables.undecided == [device["installation_end"] - 1]


def test_a_device_that_comes_again_keeps_its_number_until_the_registry_changes() -> None:
    tables, registry = make_tables(), make_registry(*MOVED)
    first = tables.meet(IMEI, registry, {})
    tables.begin()
    assert tables.meet(IMEI, make_registry(*MOVED), {}) == first
    tables.begin()
    moved = tables.meet(IMEI, make_registry(MOVED[0]), {})
    assert moved != first
    tables.begin()
    assert tables.meet(IMEI, make_registry(MOVED[0], family="CAN"), {}) not in (first, moved)


def test_a_device_is_looked_up_again_only_when_its_revision_is_another() -> None:
    tables, registry = make_tables(), RegistryCache(lambda _: make_registry(*moved))
    moved = MOVED
    registry.refresh([IMEI.decode()])
    first = tables.meet(IMEI, registry, {})
    moved = MOVED[:1]
    registry.refresh([IMEI.decode()])  # younger than the lifetime: nothing is read
    assert tables.meet(IMEI, registry, {}) == first
    registry.forget()
    assert tables.meet(IMEI, registry, {}) != first  # nothing is known of it by now
    registry.refresh([IMEI.decode()])
    device = tables.devices[tables.meet(IMEI, registry, {})]
    assert device["installation_end"] - device["installation_start"] == 1


def test_a_source_chosen_meanwhile_holds_for_the_batches_that_are_told_so() -> None:
    tables, registry = make_tables(), make_registry(*MOVED)
    tables.meet(IMEI, registry, {2: OdometerSource.GNSS})
    (undecided,) = tables.undecided
    assert tables.installations[undecided]["source"] == SOURCES.index(OdometerSource.GNSS)
    tables.begin()
    tables.meet(IMEI, registry, {})
    assert tables.undecided == [undecided]
    assert tables.installations[undecided]["source"] == NOT_CHOSEN


def test_thousands_of_devices_find_room() -> None:
    tables = make_tables()
    imeis = [f"{number:015d}" for number in range(1000)]
    registry = make_registry(*(make_installation(imei) for imei in imeis))
    numbers = [tables.meet(imei.encode(), registry, {}) for imei in imeis]
    assert [tables.imeis[number].tobytes().decode() for number in numbers] == imeis
    assert len(set(numbers)) == 1000

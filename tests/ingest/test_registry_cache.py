from collections.abc import Collection

import pytest

from ingest.registry.timeline import InstallationTimeline
from ingest.registry_cache import RegistryCache, imeis_of
from telematics.errors import UnavailableError
from tests.ingest.making import NOON_MS, FakeMessage, make_installation, make_message

KNOWN, OTHER = "001000000000017", "001000000000025"


class Registry:
    """A registry that a test can change, and that counts its readers."""

    def __init__(self) -> None:
        self.devices: dict[str, str] = {}
        self.reads: list[set[str]] = []
        self.is_down = False

    def load(self, imeis: Collection[str]) -> InstallationTimeline:
        if self.is_down:
            message = "down"
            raise UnavailableError(message)
        self.reads.append(set(imeis))
        found = {imei: vin for imei, vin in self.devices.items() if imei in imeis}
        return InstallationTimeline(
            dict.fromkeys(found, "F"),
            [
                make_installation(imei, vin=vin, installation_id=n)
                for n, (imei, vin) in enumerate(found.items())
            ],
        )


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.devices[KNOWN] = "0VE00000000000017"
    return registry


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cache(registry: Registry, time: Time) -> RegistryCache:
    return RegistryCache(registry.load, 5.0, time)


def vin(cache: RegistryCache, imei: str = KNOWN) -> str | None:
    installation = cache.at(imei, NOON_MS)
    return None if installation is None else installation.vin


def test_a_revision_is_another_after_each_reading(
    cache: RegistryCache, registry: Registry, time: Time
) -> None:
    assert cache.revision(KNOWN) is None
    cache.refresh([KNOWN])
    first = cache.revision(KNOWN)
    cache.refresh([KNOWN])
    assert first is not None
    assert cache.revision(KNOWN) is first
    time.now = 5.0
    cache.refresh([KNOWN])
    assert cache.revision(KNOWN) not in (None, first)
    del registry.devices[KNOWN]
    time.now = 10.0
    cache.refresh([KNOWN])
    assert cache.revision(KNOWN) is None


def test_a_device_is_read_once_in_its_lifetime(cache: RegistryCache, registry: Registry, time: Time) -> None:
    cache.refresh([KNOWN])
    time.now = 4.9
    cache.refresh([KNOWN])
    assert registry.reads == [{KNOWN}]
    assert (vin(cache), cache.family(KNOWN)) == ("0VE00000000000017", "F")


def test_a_changed_installation_shows_after_the_lifetime(
    cache: RegistryCache, registry: Registry, time: Time
) -> None:
    cache.refresh([KNOWN])
    registry.devices[KNOWN] = "0VE00000000000018"
    time.now = 5.0
    cache.refresh([KNOWN])
    assert vin(cache) == "0VE00000000000018"


def test_a_device_that_was_just_added_is_found_at_once(cache: RegistryCache, registry: Registry) -> None:
    cache.refresh([OTHER])
    assert (vin(cache, OTHER), cache.family(OTHER), cache.knows([OTHER])) == (None, None, False)
    registry.devices[OTHER] = "0VE00000000000025"
    cache.refresh([KNOWN, OTHER])
    assert vin(cache, OTHER) == "0VE00000000000025"


def test_a_device_that_was_removed_is_forgotten(cache: RegistryCache, registry: Registry, time: Time) -> None:
    cache.refresh([KNOWN])
    registry.devices.clear()
    time.now = 6.0
    cache.refresh([KNOWN])
    assert vin(cache) is None


def test_what_was_read_survives_an_outage(cache: RegistryCache, registry: Registry, time: Time) -> None:
    cache.refresh([KNOWN])
    registry.is_down, time.now = True, 6.0
    with pytest.raises(UnavailableError):
        cache.refresh([KNOWN])
    assert vin(cache) == "0VE00000000000017"
    assert cache.knows([KNOWN])


def test_forgetting_reads_everything_anew(cache: RegistryCache, registry: Registry) -> None:
    cache.refresh([KNOWN])
    cache.forget()
    cache.refresh([KNOWN])
    assert registry.reads == [{KNOWN}, {KNOWN}]


def test_devices_are_named_by_well_formed_keys_only() -> None:
    odd = FakeMessage("t", 0, 0, b"\xff12", b"", None)
    keyless = FakeMessage("t", 0, 0, None, b"", None)
    assert imeis_of([make_message(b"x", imei=KNOWN), odd, keyless]) == {KNOWN}

"""Devices and installations as arrays for compiled code, kept from batch to batch.

A device keeps its number as long as the registry says the same about it. Once per batch and device its
revision is asked, and what stands there only where that is another one; building an entry anew costs as much
as decoding some fifty records.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.batch.layout import Column
from ingest.registry.timeline import Installation
from ingest.registry_cache import Registry
from ingest.sink.columns import VIN_LENGTH
from ingest.sink.element_rules import ElementRules
from ingest.sink.placing import DEVICE, INSTALLATION, NOT_CHOSEN, SOURCES
from telematics.imei import IMEI_LENGTH
from telematics.names import OdometerSource

_MAX_DEVICES: Final = 200_000
"""Entries, old ones of changed devices included, before all are forgotten: about 40 MB."""
_FIRST_ROOM: Final = 64


@dataclass(slots=True)
class _Known:
    number: int
    imei: str
    revision: object
    family: str | None
    installations: tuple[Installation, ...]
    undecided: tuple[int, ...]
    """Numbers of its installations for which the registry names no odometer source."""


def _grown(column: Column, size: int) -> Column:
    """The column, or a copy of it with room for more entries than `size`."""
    if size < len(column):
        return column
    larger = np.zeros((max(_FIRST_ROOM, 2 * size), *column.shape[1:]), column.dtype)
    larger[: len(column)] = column
    return larger


class DeviceTables:
    """Numbers devices and installations.

    Attributes:
        devices: entries of `placing.DEVICE`, by number of the device.
        imeis: [device, 15] digits.
        installations: entries of `placing.INSTALLATION`, those of one device side by side, oldest first.
        vins: [installation, 17] characters.
        undecided: numbers of the batch's installations for which the registry names no odometer source.
    """

    def __init__(self, rules: ElementRules) -> None:
        self._rules = rules
        self._known: dict[bytes, _Known] = {}
        self._rows: list[Installation] = []
        self._device_count = 0
        self.devices: Column = np.zeros(_FIRST_ROOM, DEVICE)
        self.imeis: Column = np.zeros((_FIRST_ROOM, IMEI_LENGTH), np.uint8)
        self.installations: Column = np.zeros(_FIRST_ROOM, INSTALLATION)
        self.vins: Column = np.zeros((_FIRST_ROOM, VIN_LENGTH), np.uint8)
        self.undecided: list[int] = []

    def begin(self) -> None:
        """Before each batch."""
        self.undecided = []
        if self._device_count > _MAX_DEVICES:
            self._known.clear()
            self._rows.clear()
            self._device_count = 0

    def installation(self, number: int) -> Installation:
        """What the registry says about an installation."""
        return self._rows[number]

    def meet(self, imei: bytes, registry: Registry, sources: Mapping[int, OdometerSource]) -> int:
        """The number of a device; once per batch and device.

        Args:
            imei: 15 digits.
            registry: what holds in this batch.
            sources: odometer sources of installations for which the registry names none.
        """
        known = self._known.get(imei)
        if known is None or registry.revision(known.imei) is not known.revision:
            known = self._look_up(imei, known, registry)
        if known.undecided:
            for number in known.undecided:
                source = sources.get(self._rows[number].installation_id)
                self.installations["source"][number] = NOT_CHOSEN if source is None else SOURCES.index(source)
            self.undecided += known.undecided
        return known.number

    def _look_up(self, imei: bytes, known: _Known | None, registry: Registry) -> _Known:
        """The device's entry, another one only if the registry says something else than before."""
        text = imei.decode("ascii")
        family, installations = registry.family(text), registry.installations(text)
        if known is None or known.family != family or known.installations != installations:
            known = self._known[imei] = self._add(imei, text, family, installations)
        known.revision = registry.revision(text)
        return known

    def _add(
        self, imei: bytes, text: str, family: str | None, installations: tuple[Installation, ...]
    ) -> _Known:
        number, start = self._device_count, len(self._rows)
        for place, item in enumerate(installations, start):
            self.installations = _grown(self.installations, place)
            self.vins = _grown(self.vins, place)
            source = item.odometer_source
            chosen = NOT_CHOSEN if source is None else SOURCES.index(source)
            self.installations[place] = item.start_ms, item.end_ms, chosen
            vin = item.vin.encode("ascii")[:VIN_LENGTH].ljust(VIN_LENGTH, b"\0")
            self.vins[place] = np.frombuffer(vin, np.uint8)
            self._rows.append(item)
        self.devices = _grown(self.devices, number)
        self.imeis = _grown(self.imeis, number)
        families = self._rules.families
        self.devices[number] = families.get(family, families[None]), start, len(self._rows)
        self.imeis[number] = np.frombuffer(imei, np.uint8)
        self._device_count += 1
        undecided = tuple(
            place for place, item in enumerate(installations, start) if item.odometer_source is None
        )
        return _Known(number, text, None, family, installations, undecided)

"""Devices and installations as arrays for compiled code, as the sink has them, with vehicles and subjects.

A vehicle has one number whichever device sits in it, and a device in a vehicle has one however often it was
put there: so records of two devices of one vehicle meet.
"""

from typing import Any

import numpy as np

from ingest.alerts.memory import Subject
from ingest.batch.layout import Column
from ingest.registry.timeline import Installation
from ingest.sink.device_tables import DeviceTables
from ingest.sink.element_rules import element_rules


def grown(column: Column, size: int, fill: int = 0) -> Column:
    """The column, or a copy of it with room for more entries than `size`."""
    if size < len(column):
        return column
    larger = np.full(2 * size + 64, fill, column.dtype)
    larger[: len(column)] = column
    return larger


class VehicleTables(DeviceTables):
    """Numbers vehicles and subjects, too.

    Attributes:
        installation_vehicles: vehicle of each installation.
        installation_subjects: subject of each installation.
        vehicle_names: VIN of each vehicle.
        subjects: each subject.
        generation: counts how often all numbers were given anew.
    """

    def __init__(self) -> None:
        super().__init__(element_rules())
        self.generation = 0
        self._begin_numbers()

    def begin(self) -> None:
        """Before each batch."""
        before = self._device_count
        super().begin()
        if self._device_count < before:
            self.generation += 1
            self._begin_numbers()

    def subject(self, subject: Subject) -> int:
        """The number of a subject."""
        number = self._subject_numbers.setdefault(subject, len(self.subjects))
        if number == len(self.subjects):
            self.subjects.append(subject)
        return number

    def _begin_numbers(self) -> None:
        self.installation_vehicles: Column = np.zeros(0, np.int32)
        self.installation_subjects: Column = np.zeros(0, np.int32)
        self.vehicle_names: list[str] = []
        self.subjects: list[Subject] = []
        self._vehicle_numbers: dict[str, int] = {}
        self._subject_numbers: dict[Subject, int] = {}

    def _add(
        self, imei: bytes, text: str, family: str | None, installations: tuple[Installation, ...]
    ) -> Any:
        start = len(self._rows)
        known = super()._add(imei, text, family, installations)
        for place, item in enumerate(installations, start):
            self.installation_vehicles = grown(self.installation_vehicles, place)
            self.installation_subjects = grown(self.installation_subjects, place)
            self.installation_vehicles[place] = self._vehicle(item.vin)
            self.installation_subjects[place] = self.subject(Subject(item.vin, text))
        return known

    def _vehicle(self, vin: str) -> int:
        number = self._vehicle_numbers.setdefault(vin, len(self.vehicle_names))
        if number == len(self.vehicle_names):
            self.vehicle_names.append(vin)
        return number

"""Which vehicle a row belongs to, and whether it may be loaded.

A row names its vehicle by VIN, or by the device that was installed in it. Whoever names a device is believed
for the device alone: which vehicle it sat in, the installations say, at every load and rebuild anew. A row
that names a vehicle by VIN stands under the device_id `backfill:SOURCE` and keeps its VIN.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from ingest.registry.ranges import RESERVED_VIN_PREFIXES
from ingest.stream.readings import PARTNER_PREFIX
from telematics import imei as imei_form
from telematics import vin as vin_form
from telematics.names import WRITE_SCOPE, Origin
from warehouse.backfill.telemetry.rejects import Reason
from warehouse.columns import BACKFILL_PREFIX

_NAMED: Final = re.compile(r"(partner|backfill):[A-Za-z0-9_.-]{1,64}")
_FRACTION: Final = ".0"
"""What a number of a vehicle ends with where a table of numbers was written as floating-point ones."""


class _Device(IntEnum):
    NONE = 0
    KNOWN = 1
    UNKNOWN = 2
    NAMED = 3
    """Of a partner or of a loaded history: the row's VIN counts."""
    MALFORMED = 4


class _Vin(IntEnum):
    NONE = 0
    KNOWN = 1
    MALFORMED = 2
    UNKNOWN = 3
    OTHER_RANGE = 4


_REASON_OF_VIN: Final = {
    _Vin.NONE: Reason.NO_VEHICLE,
    _Vin.MALFORMED: Reason.MALFORMED_VIN,
    _Vin.UNKNOWN: Reason.UNKNOWN_VEHICLE,
    _Vin.OTHER_RANGE: Reason.OTHER_RANGE,
}


@dataclass(slots=True)
class Vehicles:
    """What the registry knows, and what a load adds to it."""

    vins: frozenset[str]
    imeis: frozenset[str]
    postings: frozenset[tuple[str, str]]
    """Device id of a partner, and a VIN that it was ever allowed to post for."""
    register_as: Origin | None = None
    """Vehicles that are not known yet are registered with this origin; None: their rows are set aside."""
    odd_check_digits: set[str] = field(default_factory=set)
    """VINs whose check digit is wrong: worth a warning, no reason to refuse."""

    @classmethod
    def none(cls) -> "Vehicles":
        """No vehicle at all."""
        return cls(frozenset(), frozenset(), frozenset())

    @classmethod
    def read(cls, connection: Connection, register_as: Origin | None) -> "Vehicles":
        """As the registry is now."""
        vins = connection.execute("select vin from vehicles").fetchall()
        imeis = connection.execute("select imei from devices").fetchall()
        postings = connection.execute(
            "select distinct %s || client_id, vin from grants where %s = any(scopes)",
            [PARTNER_PREFIX, WRITE_SCOPE],
        ).fetchall()
        return cls(
            frozenset(vin for (vin,) in vins),
            frozenset(imei for (imei,) in imeis),
            frozenset((device, vin) for device, vin in postings),
            register_as,
        )


class Named(NamedTuple):
    """The vehicles of some rows."""

    device_id: pa.Array
    vin: pa.Array
    """"" where the installations say it."""
    faults: list[tuple[Reason, npt.NDArray[np.bool_]]]


def name_vehicles(
    vehicles: Vehicles, device_id: pa.Array, vin: pa.Array, vins: Mapping[str, str] | None, source: str
) -> Named:
    """Look up devices and VINs, each different one once.

    Args:
        vehicles: the registry.
        device_id: text, null where the row names none.
        vin: text, null where the row names none.
        vins: what stands in the VIN's column → VIN.
        source: the history's name.
    """
    devices = device_id.dictionary_encode()
    known_devices = [_device(text, vehicles) for text in devices.dictionary.to_pylist()]
    device_kind = _taken(known_devices, devices)
    names = vin.dictionary_encode()
    found = [_vin(text, vehicles, vins) for text in names.dictionary.to_pylist()]
    vin_kind = _taken([kind for kind, _ in found], names)
    named = pa.array([text for _, text in found], pa.string()).take(names.indices)

    faults = [
        (Reason.MALFORMED_DEVICE, device_kind == _Device.MALFORMED),
        (Reason.UNKNOWN_DEVICE, device_kind == _Device.UNKNOWN),
    ]
    by_vin = (device_kind == _Device.NONE) | (device_kind == _Device.NAMED)
    faults += [(reason, by_vin & (vin_kind == kind)) for kind, reason in _REASON_OF_VIN.items()]
    if _Device.NAMED in known_devices:
        faults.append((Reason.UNKNOWN_VEHICLE, _never_allowed(vehicles, device_id, named)))
    is_named = pa.array(device_kind != _Device.NONE)
    own = pa.scalar(BACKFILL_PREFIX + source, pa.string())
    return Named(
        pc.if_else(is_named, device_id, own),
        pc.if_else(pa.array(by_vin), named.fill_null(""), pa.scalar("", pa.string())),
        faults,
    )


def _taken(kinds: Collection[int], encoded: pa.Array) -> npt.NDArray[np.int8]:
    """The kind of each row; 0 where there is nothing."""
    places = encoded.indices.fill_null(len(kinds)).to_numpy(zero_copy_only=False)
    taken: npt.NDArray[np.int8] = np.array([*kinds, 0], np.int8)[places]
    return taken


def _device(text: str | None, vehicles: Vehicles) -> _Device:
    if text is None:
        return _Device.NONE
    if imei_form.is_well_formed(text):
        return _Device.KNOWN if text in vehicles.imeis else _Device.UNKNOWN
    return _Device.NAMED if _NAMED.fullmatch(text) else _Device.MALFORMED


def _vin(text: str | None, vehicles: Vehicles, vins: Mapping[str, str] | None) -> tuple[_Vin, str | None]:
    if text is None:
        return _Vin.NONE, None
    if vins is not None:
        found = vins.get(text) or vins.get(text.removesuffix(_FRACTION))
        if found is None:
            return _Vin.UNKNOWN, None
        text = found
    text = text.upper()
    if not vin_form.is_well_formed(text):
        return _Vin.MALFORMED, None
    if text not in vehicles.vins:
        if vehicles.register_as is None:
            return _Vin.UNKNOWN, None
        if not _is_in_range(text, vehicles.register_as):
            return _Vin.OTHER_RANGE, None
    if not vin_form.has_valid_check_digit(text):
        vehicles.odd_check_digits.add(text)
    return _Vin.KNOWN, text


def _is_in_range(vin: str, origin: Origin) -> bool:
    """Whether a vehicle of that origin may have the VIN (`ingest.registry.ranges`)."""
    if origin is Origin.LIVE:
        return not vin.startswith(tuple(RESERVED_VIN_PREFIXES.values()))
    return vin.startswith(RESERVED_VIN_PREFIXES[origin])


def _never_allowed(vehicles: Vehicles, device_id: pa.Array, vin: pa.Array) -> npt.NDArray[np.bool_]:
    """Rows of partners that could never post for their vehicle: a rebuild would take its VIN away."""
    is_partner = pc.starts_with(device_id, PARTNER_PREFIX).fill_null(False)
    pairs = zip(device_id.to_pylist(), vin.to_pylist(), strict=True)
    allowed = np.array([pair in vehicles.postings for pair in pairs], np.bool_)
    found: npt.NDArray[np.bool_] = is_partner.to_numpy(zero_copy_only=False) & ~allowed
    return found

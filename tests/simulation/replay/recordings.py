"""Small recordings in VED's form, as folders or archives."""

import io
import tarfile

import zstandard

HEADER = (
    "DayNum,VehId,Trip,Timestamp(ms),Latitude[deg],Longitude[deg],Vehicle Speed[km/h],MAF[g/sec],"
    "Engine RPM[RPM],Absolute Load[%],OAT[DegC],Fuel Rate[L/hr],Air Conditioning Power[kW],"
    "Air Conditioning Power[Watts],Heater Power[Watts],HV Battery Current[A],HV Battery SOC[%],"
    "HV Battery Voltage[V],Short Term Fuel Trim Bank 1[%],Short Term Fuel Trim Bank 2[%],"
    "Long Term Fuel Trim Bank 1[%],Long Term Fuel Trim Bank 2[%]"
)
_PLACES = {
    "time": 3, "lat": 4, "lng": 5, "speed": 6, "maf": 7, "rpm": 8, "load": 9, "oat": 10,
    "soc": 16, "stft": 18,
}  # fmt: skip


def make_row(day_num, vehicle, trip, **values):
    """One row; what is not given is NaN, as in the data set. Time, place and speed have a default."""
    given = {"time": 0, "lat": 42.28, "lng": -83.74, "speed": 36} | values
    cells = [str(day_num), f"{vehicle}.0", f"{trip}.0", *["NaN"] * 18]
    for name, value in given.items():
        cells[_PLACES[name]] = "NaN" if value is None else str(value)
    return ",".join(cells + ["NaN"] * (22 - len(cells)))


def make_trip(day_num, rows, vehicle=7, trip=1):
    """A trip's file: its name and content."""
    lines = [HEADER, *(make_row(day_num, vehicle, trip, **row) for row in rows)]
    return f"Trip_{trip}_VED_171101_week.csv", ("\n".join(lines) + "\n").encode()


def write_folder(folder, files, vehicle=7):
    place = folder / f"VehId_{vehicle}"
    place.mkdir(parents=True)
    for name, content in files:
        (place / name).write_bytes(content)
    return place


def write_archive(folder, files, vehicle=7):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(f"VehId_{vehicle}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"VehId_{vehicle}.tar.zst"
    path.write_bytes(zstandard.compress(packed.getvalue()))
    return path

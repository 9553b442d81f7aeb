import re

import pytest

from telematics.avl.dictionary import Family, elements, lookup

SIX, F, OBD, CAN, OEM = Family.SIX, Family.F, Family.OBD, Family.CAN, Family.OEM


def ids(*parts):
    """Ids and (first, last) ranges, flattened."""
    return {n for part in parts for n in (range(part[0], part[1] + 1) if isinstance(part, tuple) else [part])}


REFERENCE_F = ids(
    *(1, 2, 3, 179, 180, 4, 5, 9, 6, 10, 11, 14, 12, 13, 15, 16, 199, 216, 17, 18, 19, 21, 69, 80, 200, 24),
    *(
        (25, 28),
        86,
        104,
        106,
        108,
        29,
        20,
        22,
        23,
        66,
        67,
        68,
        113,
        (72, 75),
        76,
        77,
        79,
        71,
        78,
        207,
        403,
        406,
    ),
    *(
        181,
        182,
        205,
        206,
        636,
        241,
        239,
        240,
        303,
        175,
        (155, 159),
        (61, 65),
        70,
        88,
        (91, 99),
        236,
        246,
        249,
    ),
    *(318, 247, 257, 317, 253, 254, 243, 258, 259, 250, 251, 252, 255, 248, 192, 193, 191, 385, 548, 10828),
    *(10829, 10831, 11317, (10800, 10803), 387, 449, 283, 284),
)
REFERENCE_OBD = ids(30, 281, (31, 43), 49, 54, 55, 48, 58, 60, 51, 53, 57, 759, 256)
REFERENCE_CAN = ids(
    *(282, 325, 81, 82, 85, 87, 105, 83, 107, 84, 89, 110, 102, 103, 111, 112, 114, 115, (118, 122), 90, 123),
    *(132, (517, 519), 662, 151, 152, 304, 232, 233),
)
REFERENCE_OEM = ids(389, 390, 411, 755, 402)
REFERENCE_6XX = ids(
    *(
        1,
        2,
        3,
        179,
        180,
        4,
        5,
        9,
        6,
        10,
        11,
        14,
        12,
        13,
        15,
        16,
        199,
        216,
        17,
        18,
        19,
        21,
        69,
        80,
        24,
        25,
        26,
    ),
    *(
        66,
        67,
        68,
        113,
        (72, 75),
        78,
        195,
        196,
        181,
        182,
        205,
        239,
        240,
        303,
        236,
        247,
        253,
        243,
        251,
        252,
        30,
    ),
    *(31, 32, 33, 36, 37, 35, 34, (38, 42), 48, 389, (233, 235), 81, 82, 85, 87, 83, 84, 89, 110, 90, 143),
    *(192, 193, 191, (701, 704), 231, 232),
)


@pytest.mark.parametrize(
    ("family", "reference"),
    [
        (F, REFERENCE_F | REFERENCE_OBD | REFERENCE_CAN | REFERENCE_OEM),
        (OBD, REFERENCE_F | REFERENCE_OBD | REFERENCE_OEM),
        (CAN, REFERENCE_F | REFERENCE_CAN),
        (OEM, REFERENCE_F | REFERENCE_OEM),
        (SIX, REFERENCE_6XX),
    ],
)
def test_every_id_of_the_reference_table_is_known(family, reference):
    assert reference - {avl_id for avl_id, _ in elements(family)} == set()


UNSIGNED, SIGNED = False, True
# (sign, multiplier, width) → ids, as the reference table has them
REFERENCE_FORMS = {
    F: {
        (UNSIGNED, "1", 1): ids(
            *(
                (1, 3),
                179,
                180,
                10,
                216,
                21,
                69,
                80,
                200,
                29,
                20,
                22,
                23,
                113,
                239,
                240,
                303,
                175,
                (155, 159),
            ),
            *((61, 65), 70, 88, (91, 99), 236, 246, 249, 318, 247, 253, (250, 252), 255, 248, (191, 193)),
        ),
        (UNSIGNED, "1", 2): ids(24, 205, 206, 243),
        (UNSIGNED, "1", 4): ids(4, 5, 16, 199, 636, 241, 449),
        (UNSIGNED, "1", 8): ids(11, 14, 76, 77, 79, 71, 78, 207, 258, 259),
        (UNSIGNED, "0.001", 2): ids(9, 6, (66, 68)),
        (UNSIGNED, "0.001", 4): ids(12),
        (UNSIGNED, "0.01", 2): ids(13, 15),
        (UNSIGNED, "0.1", 2): ids(86, 104, 106, 108, 181, 182),
        (SIGNED, "1", 2): ids((17, 19)),
        (SIGNED, "0.01", 2): ids((25, 28), (10800, 10803)),
        (SIGNED, "0.1", 4): ids((72, 75)),
    },
    OBD: {
        (UNSIGNED, "1", 1): ids(30, 31, 37, 35, 41, 48, 58, 57, 759),
        (UNSIGNED, "1", 2): ids(36, 42, 43, 49, 54, 55),
        (UNSIGNED, "0.01", 2): ids(40, 60),
        (UNSIGNED, "0.001", 2): ids(51),
        (SIGNED, "1", 1): ids(32, 33, 38, 39, 53),
        (UNSIGNED, "1", 0): ids(256, 281),
    },
    CAN: {
        (UNSIGNED, "1", 1): ids(81, 82, 89, 111, 114, 152, 662),
        (UNSIGNED, "1", 2): ids(85, (118, 122), 90),
        (UNSIGNED, "1", 4): ids(87, 105, 102, 103, 123, 304),
        (UNSIGNED, "1", 8): ids(132, (517, 519)),
        (UNSIGNED, "0.1", 2): ids(84, 110, 112),
        (UNSIGNED, "0.1", 4): ids(83, 107),
        (SIGNED, "0.1", 2): ids(115, 151),
        (UNSIGNED, "1", 0): ids(282, 325),
    },
    OEM: {
        (UNSIGNED, "1", 1): ids(411),
        (UNSIGNED, "1", 2): ids(755),
        (UNSIGNED, "1", 4): ids(389, 402),
        (UNSIGNED, "0.1", 4): ids(390),
    },
    SIX: {
        (UNSIGNED, "1", 1): ids(4, 19, (251, 252), 30, 31, 37, 48, 389, 81, 82, 85, 83, 110, 243),
        (UNSIGNED, "1", 2): ids(32, 35, 89, 90, 143, 191),
        (UNSIGNED, "1", 4): ids(14, 15, 16, 216, 199, 80, 205, 36, 87, 84, 192, 193),
        (UNSIGNED, "1", 8): ids(13, 195, 196, 233, 234),
        (UNSIGNED, "0.001", 2): ids(9, 10, 11),
        (UNSIGNED, "0.1", 2): ids(34),
        (UNSIGNED, "0.1", 4): ids(17, 33),
        (SIGNED, "1", 2): ids(236),
        (SIGNED, "1", 4): ids(113),
        (SIGNED, "0.1", 2): ids(25, (72, 75), (701, 704)),
    },
}


@pytest.mark.parametrize("family", Family)
def test_width_sign_and_scale_are_those_of_the_reference_table(family):
    for (is_signed, multiplier, width), avl_ids in REFERENCE_FORMS[family].items():
        for avl_id in avl_ids:
            element = lookup(family, avl_id, width)
            assert element is not None, (avl_id, width)
            assert (element.is_signed, str(element.multiplier)) == (is_signed, multiplier), avl_id


@pytest.mark.parametrize("family", Family)
def test_keys_and_names_are_unique_within_a_family(family):
    members = list(elements(family).values())
    groups = {element.family for element in members}
    assert len({element.name for element in members}) == len(members)
    assert family in groups
    assert (SIX in groups) == (family == SIX)


@pytest.mark.parametrize("element", {id(row): row for f in Family for row in elements(f).values()}.values())
def test_rows_are_well_formed(element):
    assert 0 < element.id < 65_536
    assert element.width in (0, 1, 2, 4, 8)
    assert element.multiplier > 0
    assert re.fullmatch(r"[a-z][a-z0-9_]*", element.name)
    assert element.source.startswith("wiki:")
    assert element.width or not (element.is_signed or element.sentinels)
    assert element.is_text is False or element.width == 0


@pytest.mark.parametrize(
    ("family", "avl_id", "width", "raw", "name", "value", "unit"),
    [
        (F, 66, 2, 12_456, "external_voltage", 12.456, "V"),
        (F, 67, 2, 4_019, "battery_voltage", 4.019, "V"),
        (F, 16, 4, 123_456, "total_odometer", 123_456, "m"),
        (F, 239, 1, 1, "ignition", 1, None),
        (F, 17, 2, 0xFFF6, "axis_x", -10, "mG"),
        (F, 182, 2, 11, "gnss_hdop", 1.1, None),
        (F, 12, 4, 4_294_967_295, "fuel_used_gps", 4_294_967.295, "L"),
        (F, 25, 2, 0xFC18, "ble_temperature_1", -10.0, "Cel"),
        (F, 72, 4, 0xFFFFFF38, "dallas_temperature_1", -20.0, "Cel"),
        (F, 11, 8, 2**64 - 1, "iccid_1", 2**64 - 1, None),
        (OBD, 36, 2, 2_000, "engine_rpm", 2_000, "rpm"),
        (OBD, 32, 1, 0xD8, "coolant_temperature", -40, "Cel"),
        (OBD, 33, 1, 0xFF, "short_fuel_trim", -1, "%"),
        (OBD, 45, 2, 3, "direct_fuel_rail_pressure", 30, "kPa"),
        (OBD, 40, 2, 333, "maf_air_flow", 3.33, "g/s"),
        (OBD, 389, 4, 87_000, "oem_total_mileage", 87_000, "km"),
        (CAN, 87, 4, 87_000, "can_total_mileage", 87_000, "m"),
        (CAN, 84, 2, 455, "can_fuel_volume", 45.5, "L"),
        (SIX, 36, 4, 87_000, "total_mileage", 87_000, "m"),
        (SIX, 113, 4, 0xFFFFFFFF, "service_distance", -1, "km"),
        (SIX, 72, 2, 0xFF38, "dallas_temperature_1", -20.0, "Cel"),
    ],
)
def test_sign_scale_and_unit(family, avl_id, width, raw, name, value, unit):
    element = lookup(family, avl_id, width)
    assert (element.name, element.value(raw), element.unit) == (name, value, unit)
    assert element.reason(raw) is None


@pytest.mark.parametrize(
    ("family", "avl_id", "width", "raw"),
    [
        *[(F, avl_id, 2, raw) for avl_id in range(25, 29) for raw in (2000, 3000, 4000, 32_767)],
        *[(F, avl_id, 4, raw) for avl_id in range(72, 76) for raw in (850, 2000, 3000, 4000, 5000)],
        *[(SIX, avl_id, 2, raw) for avl_id in range(72, 76) for raw in (850, 2000, 3000, 4000, 5000)],
        (F, 86, 2, 65_535),
        (F, 76, 8, 2**64 - 1),
    ],
)
def test_an_error_code_is_a_reason_and_no_value(family, avl_id, width, raw):
    element = lookup(family, avl_id, width)
    assert element.value(raw) is None
    assert element.reason(raw)


@pytest.mark.parametrize(
    ("avl_id", "six_width", "six_name", "f_width", "f_name"),
    [
        (4, 1, "digital_input_4", 4, "pulse_counter_1"),
        (11, 2, "analog_input_3", 8, "iccid_1"),
        (30, 1, "can_vehicle_speed", 1, "dtc_count"),
        (36, 4, "total_mileage", 2, "engine_rpm"),
        (37, 1, "fuel_level", 1, "obd_vehicle_speed"),
        (113, 4, "service_distance", 1, "battery_level"),
        (205, 4, "gsm_cell_id", 2, "gsm_cell_id"),
        (216, 4, "total_odometer", 1, "geofence_zone_35"),
        (251, 1, "immobilizer", 1, "idling"),
        (252, 1, "authorized_driving", 1, "unplug"),
        (192, 4, "tacho_odometer", 1, "geofence_zone_26"),
    ],
)
def test_one_id_means_different_things_on_different_families(avl_id, six_width, six_name, f_width, f_name):
    assert lookup(SIX, avl_id, six_width).name == six_name
    assert lookup(F, avl_id, f_width).name == f_name
    if six_width != f_width:
        assert lookup(SIX, avl_id, f_width) is None
        assert lookup(F, avl_id, six_width) is None


def test_nothing_is_guessed_across_families_or_widths():
    assert lookup(OBD, 87, 4) is None
    assert lookup(CAN, 36, 2) is None
    assert lookup(OEM, 36, 2) is None
    assert lookup(F, 66, 4) is None
    assert lookup(F, 65_000, 1) is None
    assert lookup("unheard of", 66, 2) is None
    assert lookup("F", 66, 2) == lookup(F, 66, 2)


def test_text_is_text_and_other_bytes_are_hex():
    codes = lookup(OBD, 281, 0)
    assert codes.value(b"P0300,P0171") == "P0300,P0171"
    assert codes.value(b"") == ""
    assert codes.value(b"P0300\0\0") == "P0300"
    assert codes.value(b"\xb2") is None
    assert codes.reason(b"\xb2") == "not printable ASCII"
    assert lookup(F, 385, 0).value(b"\x01\xff") == "01ff"
    assert lookup(F, 385, 0).reason(b"\x01\xff") is None


def test_the_view_of_a_family_cannot_be_changed():
    with pytest.raises(TypeError):
        elements(F)[66, 2] = None

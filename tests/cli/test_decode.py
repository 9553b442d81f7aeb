import json

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli import decode
from cli.decode import Transport, decode_line
from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement
from telematics.avl.dictionary import Family
from telematics.errors import NotFoundError
from tests.ingest.codec8 import wire

ERRORS = {
    "truncated",
    "bad_preamble",
    "bad_length",
    "bad_crc",
    "unknown_codec",
    "count_mismatch",
    "io_mismatch",
    "trailing_bytes",
    "bad_imei",
}
GOOD = wire.VENDOR_CODEC_8.hex()


def make_app():
    app = typer.Typer()
    app.callback()(lambda: None)  # keeps `decode` a command of its own
    decode.register(app)
    return app


def run(text, *options):
    """Exit code and documents; anything but a clean exit would raise."""
    result = CliRunner().invoke(make_app(), ["decode", *options], input=text, catch_exceptions=False)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def tcp(line, family=None):
    return decode_line(line, Transport.TCP, family)


def udp(message, family=None):
    return decode_line(message.hex(), Transport.UDP, family)


def frame_of(codec=CodecId.CODEC_8, **overrides):
    values = {
        "timestamp_ms": 1_700_000_000_250,
        "priority": 0,
        "longitude_raw": -837_063_041,
        "latitude_raw": 422_903_808,
        "altitude_m": -6,
        "angle_deg": 359,
        "satellites": 12,
        "speed_kph": 55,
        "event_io_id": 0,
    }
    return encode_tcp_frame(AvlPacket(codec, (AvlRecord(**(values | overrides)),))).hex()


def test_a_record_has_the_documented_fields():
    document = tcp(frame_of(io=(IoElement(66, 2, 12_456),)), Family.F)
    assert document == {
        "ok": True,
        "kind": "avl",
        "codec": "8",
        "records": [
            {
                "time": "2023-11-14T22:13:20.250Z",
                "timestamp_ms": 1_700_000_000_250,
                "priority": 0,
                "lat": 42.2903808,
                "lng": -83.7063041,
                "altitude_m": -6,
                "heading_deg": 359,
                "satellites": 12,
                "speed_kph": 55,
                "event_id": 0,
                "io": [
                    {
                        "id": 66,
                        "width": 2,
                        "raw": 12_456,
                        "name": "external_voltage",
                        "value": 12.456,
                        "unit": "V",
                    }
                ],
            }
        ],
    }


def test_without_a_family_everything_stays_raw():
    (record,) = tcp(frame_of(io=(IoElement(66, 2, 12_456),)))["records"]
    assert record["io"] == [{"id": 66, "width": 2, "raw": 12_456, "name": None, "value": None, "unit": None}]


def test_raw_is_unsigned_where_the_value_is_negative():
    (record,) = tcp(frame_of(io=(IoElement(32, 1, 0xD8),)), Family.OBD)["records"]
    assert (record["io"][0]["raw"], record["io"][0]["value"]) == (216, -40)


def test_an_error_code_gives_null_and_a_reason():
    (record,) = tcp(frame_of(io=(IoElement(72, 4, 850),)), Family.F)["records"]
    element = record["io"][0]
    assert (element["name"], element["value"]) == ("dallas_temperature_1", None)
    assert element["reason"] == "sensor not ready"


def test_an_element_of_another_width_has_no_name():
    (record,) = tcp(frame_of(io=(IoElement(66, 4, 12_456),)), Family.F)["records"]
    assert record["io"][0]["name"] is None


def test_variable_length_is_hex_with_its_number_of_bytes():
    io = (IoElement(281, 0, b"P0300,P0171"), IoElement(60_000, 0, b"\xff"), IoElement(257, 0, b""))
    (record,) = tcp(frame_of(CodecId.CODEC_8_EXTENDED, io=io), Family.F)["records"]
    codes, unknown, trace = record["io"]
    assert codes["raw"] == b"P0300,P0171".hex()
    assert (codes["width"], codes["name"], codes["value"]) == (11, "dtc_codes", "P0300,P0171")
    assert (unknown["width"], unknown["raw"], unknown["name"], unknown["value"]) == (1, "ff", None, None)
    assert (trace["width"], trace["raw"], trace["name"]) == (0, "", "crash_trace")


@pytest.mark.parametrize(("kind", "unit"), [(1, "g"), (2, "g"), (3, None)])
def test_the_unit_of_a_harsh_event_depends_on_its_kind(kind, unit):
    io = (IoElement(253, 1, kind), IoElement(254, 1, 47))
    (record,) = tcp(frame_of(io=io), Family.F)["records"]
    assert (record["io"][1]["value"], record["io"][1]["unit"]) == (0.47, unit)


def test_only_codec_16_has_a_generation_type():
    assert [record["generation_type"] for record in tcp(wire.VENDOR_CODEC_16.hex())["records"]] == [5, 5]
    assert "generation_type" not in tcp(GOOD)["records"][0]


@pytest.mark.parametrize("timestamp_ms", [253_402_300_800_000, 2**63, 2**64 - 1])
def test_a_time_beyond_the_calendar_is_null_and_kept_as_a_number(timestamp_ms):
    (record,) = tcp(frame_of(timestamp_ms=timestamp_ms))["records"]
    assert (record["time"], record["timestamp_ms"]) == (None, timestamp_ms)


def test_the_last_moment_of_the_calendar_is_a_time():
    (record,) = tcp(frame_of(timestamp_ms=253_402_300_799_999))["records"]
    assert record["time"] == "9999-12-31T23:59:59.999Z"


def test_the_widest_numbers_survive_json():
    _, (document,) = run(frame_of(timestamp_ms=2**64 - 1, io=(IoElement(11, 8, 2**64 - 1),)), "--family", "F")
    assert document["records"][0]["io"][0]["value"] == 2**64 - 1


def test_logins_pings_and_commands_have_their_kinds():
    assert tcp(wire.LOGIN.hex()) == {"ok": True, "kind": "imei", "imei": wire.IMEI}
    assert tcp("FFFF") == {"ok": True, "kind": "ping"}
    assert tcp(wire.VENDOR_CODEC_15.hex()) == {
        "ok": True,
        "kind": "command",
        "codec": "15",
        "type": 11,
        "payload": "Hello!\n",
        "payload_encoding": "text",
        "imei": "123456789123456",
        "time": "2023-11-08T10:40:36.000Z",
    }
    photo = tcp(wire.tcp(wire.command_data("0C", "0D", b"\xff\xd8\x00")).hex())
    assert (photo["payload"], photo["payload_encoding"]) == ("ffd800", "hex")
    assert "imei" not in photo
    assert "time" not in photo


def test_a_datagram_adds_its_ids_and_imei():
    document = udp(wire.VENDOR_UDP)
    assert (document["kind"], document["codec"]) == ("avl", "8")
    assert (document["imei"], document["packet_id"], document["avl_packet_id"]) == (
        "352093086403655",
        51_966,
        5,
    )


@pytest.mark.parametrize(
    "line",
    [
        GOOD.upper(),
        "0x" + GOOD,
        "0X" + GOOD.upper(),
        " ".join(GOOD[i : i + 2] for i in range(0, len(GOOD), 2)),
    ],
)
def test_hex_is_read_in_its_usual_spellings(line):
    assert tcp(line) == tcp(GOOD)
    assert tcp(" ".join("0x" + GOOD[i : i + 2] for i in range(0, len(GOOD), 2)) + "\r") == tcp(GOOD)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("hello", "bad_preamble"),
        ("xyz", "bad_preamble"),
        ("0x", "bad_preamble"),
        ("00 0g 1", "bad_preamble"),
        ("000", "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD[:-2], "truncated"),
        (GOOD + "ff", "trailing_bytes"),
    ],
)
def test_a_bad_line_names_its_error(line, error):
    document = tcp(line)
    assert (document["ok"], document["error"]) == (False, error)
    assert document["detail"]


def test_every_line_gets_its_document_and_one_bad_line_the_exit_code():
    code, documents = run(f"{GOOD}\n\n  \nnonsense\n{wire.LOGIN.hex()}\n")
    assert code == 1
    assert [document["ok"] for document in documents] == [True, False, True]


def test_only_good_lines_end_with_zero():
    assert run(f"{GOOD}\n{GOOD}\n")[0] == 0
    assert run("")[0] == 0
    code, (document,) = run(wire.VENDOR_UDP.hex(), "--transport", "udp", "--family", "6xx")
    assert code == 0
    assert document["records"][0]["io"][0]["name"] == "gsm_signal"


def test_files_are_read_instead_of_standard_input(tmp_path):
    first, second = tmp_path / "a.hex", tmp_path / "b.hex"
    first.write_text(GOOD + "\n")
    second.write_bytes(b"\x80\x81 not text\n")
    code, documents = run("ignored", str(first), str(second))
    assert code == 1
    assert [document["ok"] for document in documents] == [True, False]


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(NotFoundError, match="cannot be read"):
        run("", str(tmp_path / "missing.hex"))


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60) | st.binary(max_size=80).map(bytes.hex),
    st.sampled_from(Transport),
    st.sampled_from(Family) | st.none(),
)
def test_no_line_ends_in_a_traceback(line, transport, family):
    document = json.loads(json.dumps(decode_line(line, transport, family)))
    assert document["ok"] or (document["error"] in ERRORS and document["detail"])
    assert not document["ok"] or document["kind"] in {"avl", "command", "imei", "ping"}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_no_bytes_on_standard_input_end_in_a_traceback(text):
    code, documents = run(text)
    assert code == int(any(not document["ok"] for document in documents))

import json
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codec8.records import CodecId, CommandMessage, CommandType
from ingest.commands.answers import Answer, build_response, match_answer, readable
from ingest.commands.models import Command, CommandStatus
from ingest.commands.version import DeviceVersion, asks_version, parse_version

IMEI, OTHER = "356307042441013", "356307042441021"
PLAIN = Command(uuid4(), IMEI, CodecId.CODEC_12, "getver")
NAMED = Command(uuid4(), IMEI, CodecId.CODEC_14, "getver")


def message(codec=CodecId.CODEC_12, kind=CommandType.RESPONSE, payload=b"OK", imei=None, at=None):
    return CommandMessage(codec, kind, payload, imei, at)


def test_the_next_answer_of_the_same_codec_is_the_commands():
    assert match_answer(PLAIN, message()) == Answer(PLAIN, CommandStatus.ANSWERED, "OK")
    answer = message(CodecId.CODEC_14, imei=IMEI)
    assert match_answer(NAMED, answer) == Answer(NAMED, CommandStatus.ANSWERED, "OK")


@pytest.mark.parametrize(
    ("outstanding", "heard"),
    [
        (None, message()),
        (PLAIN, message(CodecId.CODEC_14, imei=IMEI)),
        (PLAIN, message(CodecId.CODEC_13, at=1)),
        (PLAIN, message(kind=CommandType.PHOTO)),
        (PLAIN, message(kind=CommandType.COMMAND)),
        (NAMED, message()),
        (NAMED, message(CodecId.CODEC_14, imei=OTHER)),
        (NAMED, message(CodecId.CODEC_14, CommandType.NACK, imei=OTHER)),
    ],
)
def test_anything_else_answers_nothing(outstanding, heard):
    assert match_answer(outstanding, heard) is None


def test_a_nack_of_codec_14_fails_the_command_with_the_reason():
    answer = match_answer(NAMED, message(CodecId.CODEC_14, CommandType.NACK, b"", IMEI))
    assert answer is not None
    assert answer.status is CommandStatus.FAILED
    assert "not its own" in answer.text


@given(st.binary(max_size=80))
def test_every_payload_becomes_text_that_every_store_takes(payload):
    text = readable(payload)
    assert "\x00" not in text
    text.encode("utf-8")
    document = json.loads(build_response(message(payload=payload), IMEI, 0, None))
    assert bytes.fromhex(document["payload_hex"]) == payload


def test_a_response_says_what_it_answers_and_when():
    heard = message(CodecId.CODEC_15, 0x0B, b"x", IMEI, 1_700_000_000)
    document = json.loads(build_response(heard, IMEI, 1_700_000_001_234, None))
    assert document == {
        "device_id": IMEI, "command_id": None, "command": None, "status": None, "codec": "15", "type": 11,
        "text": "x", "payload_hex": "78", "device_time": "2023-11-14T22:13:20.000Z",
        "received_at": "2023-11-14T22:13:21.234Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (
            "Ver:03.27.07_00 GPS:AXN_5.10_3333_3.8 Hw:FMB120 Mod:15 IMEI:352094089397464 Init:2018-11-22 7",
            DeviceVersion("FMB120", "03.27.07_00"),
        ),
        ("Ver:03.28.03.Rev.00 Hw:FMC650", DeviceVersion("FMC650", "03.28.03.Rev.00")),
        ("Hw:FMM003", DeviceVersion("FMM003", None)),
        ("ver:1.2", DeviceVersion(None, "1.2")),
        ("BL_Ver:1.9 something", None),
        ("Unknown command", None),
        ("", None),
    ],
)
def test_model_and_firmware_are_read_and_never_guessed(answer, version):
    assert parse_version(answer) == version


def test_getver_is_known_however_it_is_written():
    assert asks_version(" GetVer ")
    assert not asks_version("getinfo")

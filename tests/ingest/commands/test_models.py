from uuid import uuid4

import pytest

from ingest.codec8.decoding import decode_tcp_frame
from ingest.codec8.records import CodecId, CommandMessage, CommandType
from ingest.commands.models import Command, NewCommand
from telematics.errors import ConfigurationError
from tests.ingest.codec8 import wire

IMEI = "356307042441013"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"imei": "35630704244101"}, "15 digits"),
        ({"imei": f" {IMEI}"}, "blanks"),
        ({"text": ""}, "printable ASCII"),
        ({"text": "  "}, "printable ASCII"),
        ({"text": "getver\n"}, "printable ASCII"),
        ({"text": "gétver"}, "printable ASCII"),
        ({"text": "x" * 1025}, "1024 characters"),
        ({"codec": CodecId.CODEC_13}, "codec 12 or 14"),
        ({"lifetime_s": 0}, "between a second and a year"),
        ({"lifetime_s": 1e9}, "between a second and a year"),
    ],
)
def test_what_no_device_could_take_is_not_queued(overrides, says):
    with pytest.raises(ConfigurationError, match=says):
        NewCommand(**({"imei": IMEI, "text": "getinfo", "requested_by": "test"} | overrides))


def test_the_frames_are_the_vendors():
    assert Command(uuid4(), IMEI, CodecId.CODEC_12, "getinfo").encode() == wire.VENDOR_CODEC_12
    assert Command(uuid4(), "352093081452251", CodecId.CODEC_14, "getver").encode() == wire.VENDOR_CODEC_14
    named = decode_tcp_frame(Command(uuid4(), IMEI, CodecId.CODEC_14, "getver").encode())
    assert named == CommandMessage(CodecId.CODEC_14, CommandType.COMMAND, b"getver", IMEI)

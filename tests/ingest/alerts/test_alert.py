import orjson
import pytest

from ingest.alerts.alert import Alert, Kind, MalformedAlertError, decode, encode
from telematics.names import Origin
from tests.ingest.alerts.making import make_alert
from tests.ingest.making import NOON_MS


def test_an_alert_is_a_cloud_event() -> None:
    event = orjson.loads(encode(make_alert()))
    assert event == {
        "specversion": "1.0",
        "id": "43d54e035baa77bf5163aae32b6b8d93",
        "source": "/piston/live",
        "type": "piston.alert.dtc_new",
        "subject": "0VE00000000000017",
        "time": "2025-03-14T12:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {
            "vin": "0VE00000000000017",
            "device_id": "001000000000017",
            "kind": "dtc_new",
            "code": "P0300",
            "severity": "warning",
            "received_at": "2025-03-14T12:00:01.000Z",
            "origin": "recorded",
            "stream_position": 256,
            "is_late": False,
            "detail": {"codes": ["P0300"]},
        },
    }


def test_the_id_is_that_of_device_time_kind_and_code_alone() -> None:
    one = make_alert()
    same = make_alert(vin="0VE00000000000018", received_at_ms=1, stream_position=9, detail={}, is_late=True)
    assert same.alert_id == one.alert_id
    others = [
        make_alert(device_id="001000000000018"),
        make_alert(time_ms=NOON_MS + 1),
        make_alert(kind=Kind.DTC_CLEARED),
        make_alert(code="P0301"),
    ]
    assert len({one.alert_id, *(other.alert_id for other in others)}) == 5


@pytest.mark.parametrize("kind", Kind)
def test_what_is_encoded_is_decoded(kind: Kind) -> None:
    alert = make_alert(kind=kind, origin=Origin.LIVE, is_late=True)
    assert decode(encode(alert)) == alert
    assert isinstance(decode(encode(alert)), Alert)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "00"},
        {"specversion": "0.3"},
        {"time": "2025-03-14T12:00:00"},
        {"time": "never"},
        {"data": []},
        {"data": {"kind": "rumour"}},
        {"data": {"vin": "short"}},
        {"data": {"device_id": ""}},
        {"data": {"stream_position": -1}},
        {"data": {"stream_position": "1"}},
        {"data": {"detail": "x"}},
        {"data": {"origin": "elsewhere"}},
    ],
)
def test_what_is_no_alert_of_ours_is_told(change: dict[str, object]) -> None:
    event = orjson.loads(encode(make_alert()))
    for name, value in change.items():
        event[name] = event[name] | value if isinstance(value, dict) else value
    with pytest.raises(MalformedAlertError):
        decode(orjson.dumps(event))


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"{}", b"null", "text"])
def test_garbage_is_told(value: bytes | str | None) -> None:
    with pytest.raises(MalformedAlertError):
        decode(value)

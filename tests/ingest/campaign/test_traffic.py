"""The cars' story: seeded, with overlaps, late records and everything that devices do."""

from collections import Counter

import pytest

from ingest.alerts.facts import facts_of, readers_of
from ingest.alerts.rules import advance
from ingest.codec8.decoding import decode_avl
from ingest.codec8.records import CodecId
from ingest.measurement import element_columns, measure
from ingest.registry.models import Family
from telematics import vin
from tests.ingest.campaign.ledger import Ledger, Parcel, identities_of
from tests.ingest.campaign.traffic import CODECS, Car, alert_id

START_MS = 1_741_953_600_000
PACKETS = 400


def packets_of(car: Car) -> list[bytes]:
    return [car.packet() for _ in range(PACKETS)]


@pytest.mark.parametrize("number", range(3))
def test_the_same_seed_says_the_same(number):
    assert packets_of(Car(5, number, START_MS)) == packets_of(Car(5, number, START_MS))
    assert packets_of(Car(5, number, START_MS)) != packets_of(Car(6, number, START_MS))


def test_twenty_cars_speak_every_codec_over_tcp_and_udp_and_some_forget():
    cars = [Car(1, number, START_MS) for number in range(20)]
    spoken = {(CodecId(car.packet()[0]), car.is_udp) for car in cars}
    assert spoken >= {(codec, is_udp) for codec in CODECS for is_udp in (False, True)}
    assert sum(car.is_forgetful for car in cars) == 2
    assert len({car.imei for car in cars} | {car.vin for car in cars}) == 40
    assert all(vin.is_well_formed(car.vin) for car in cars)


def test_records_come_in_overlaps_late_and_out_of_order():
    records = [decode_avl(packet).records for packet in packets_of(Car(1, 1, START_MS))]
    bodies = Counter(record.body for packet in records for record in packet)
    assert bodies.most_common(1)[0][1] > 1
    newest, late, disordered = 0, 0, 0
    for packet in records:
        times = [record.timestamp_ms for record in packet]
        late += max(times) >= newest > min(times) and min(times) % 1000 != 0
        disordered += times not in (sorted(times), sorted(times, reverse=True))
        newest = max(newest, *times)
    assert late > 0
    assert disordered > 0
    assert max(map(len, records)) >= 60


def test_two_records_at_one_time_are_one_record():
    car = Car(1, 1, START_MS)
    identities = identities_of(Parcel(car.imei, packet) for packet in packets_of(car))
    assert len({identity.time_ms for identity in identities}) == len(identities)


@pytest.mark.parametrize("number", [0, 1, 2, 7])
def test_a_cars_own_reckoning_of_its_alerts_is_what_the_rules_say(number):
    car = Car(1, number, START_MS)
    family = Family.OBD
    state, raised_ids = {}, set()
    for packet in packets_of(car):
        records = decode_avl(packet).records
        facts = [
            facts_of(one, measure(one, element_columns(family)), car.vin, readers_of(family))
            for one in records
        ]
        state, raised = advance(state, facts)
        raised_ids |= {
            alert_id(car.imei, facts[one.number].time_ms, one.finding.kind, one.finding.code)
            for one in raised
        }
    assert raised_ids == car.alerts
    assert bool(car.alerts) != car.is_forgetful


def test_the_newest_record_is_the_one_with_the_latest_time():
    car = Car(1, 2, START_MS)
    records = [record for packet in packets_of(car) for record in decode_avl(packet).records]
    last = max(records, key=lambda record: record.timestamp_ms)
    assert car.newest is not None
    assert (last.timestamp_ms, last.latitude_raw, last.longitude_raw) == (
        car.newest.time_ms,
        car.newest.latitude_raw,
        car.newest.longitude_raw,
    )


def test_the_ledger_knows_what_is_in_flight_and_what_was_given_up():
    car, ledger = Car(1, 1, START_MS), Ledger()
    first, second = (Parcel(car.imei, car.packet()) for _ in range(2))
    ledger.send(first)
    assert ledger.waiting == {first}
    ledger.lose(first)
    assert not ledger.waiting
    ledger.send(first)
    ledger.acknowledge(first)
    ledger.send(second)
    ledger.lose(second)
    ledger.forget(second)
    assert ledger.parcels == [first, second]
    assert list(ledger.newest) == [first]
    assert (ledger.resent_count, ledger.forgotten_count) == (1, 1)
    assert (first.is_acknowledged, second.is_acknowledged) == (True, False)

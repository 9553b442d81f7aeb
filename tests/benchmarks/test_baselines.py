"""A baseline that decodes wrongly is no baseline; the workload is what its recipe says."""

import pytest

from benchmarks.baselines.naive_decoder import decode_frame
from benchmarks.workload import ELEMENT_COUNT, Traffic, build_workload
from ingest.codec8.decoding import decode_tcp_frame
from ingest.codec8.records import AvlPacket, CodecId


def reference(frame: bytes) -> AvlPacket:
    packet = decode_tcp_frame(frame)
    assert isinstance(packet, AvlPacket)
    return packet


@pytest.mark.parametrize("traffic", Traffic)
def test_the_naive_decoder_reads_what_the_reference_reads(traffic: Traffic) -> None:
    for frame in build_workload(traffic, 200).frames:
        records = reference(frame).records
        for naive, record in zip(decode_frame(frame), records, strict=True):
            assert naive["io"] == {element.id: element.raw for element in record.io}
            assert (naive["timestamp_ms"], naive["longitude"], naive["latitude"], naive["altitude"]) == (
                record.timestamp_ms,
                record.longitude_raw,
                record.latitude_raw,
                record.altitude_m,
            )


def test_the_naive_decoder_checks_the_checksum() -> None:
    frame = bytearray(build_workload(Traffic.LIVE, 1).frames[0])
    frame[40] ^= 1
    with pytest.raises(ValueError, match="not a frame"):
        decode_frame(bytes(frame))


def test_the_workload_has_the_shares_and_sizes_of_its_recipe() -> None:
    batch, live = build_workload(Traffic.BATCH, 1000), build_workload(Traffic.LIVE, 1000)
    packets = [reference(frame) for frame in batch.frames]
    extended = sum(packet.codec is CodecId.CODEC_8_EXTENDED for packet in packets)
    assert 550 <= extended <= 650
    assert {len(packet.records) for packet in packets} == set(range(1, 31))
    assert {len(record.io) for packet in packets for record in packet.records} == {ELEMENT_COUNT}
    assert sum(len(packet.records) for packet in packets) == batch.record_count
    assert 1.3 <= live.record_count / 1000 <= 1.5
    assert build_workload(Traffic.BATCH, 10).frames == batch.frames[:10]
    assert not set(build_workload(Traffic.BATCH, 10, shift_ms=1).frames) & set(batch.frames)

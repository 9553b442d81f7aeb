"""The counts as Prometheus reads them."""

from prometheus_client import CollectorRegistry, generate_latest

from ingest.codec8.records import CodecId
from ingest.gateway.stats import GatewayCollector, GatewayStats
from tests.ingest.codec8 import wire
from tests.ingest.gateway.harness import Bench


def exposition(stats: GatewayStats) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(GatewayCollector(stats))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


async def test_frames_records_and_acknowledgements_are_exported_by_codec():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        tracker = await bench.logged_in()
        for frame, count in ((wire.VENDOR_CODEC_8_TWO_RECORDS, 2), (wire.VENDOR_CODEC_16, 2)):
            tracker.send(frame)
            assert await tracker.receive(4) == count.to_bytes(4)
        metrics = exposition(bench.gateway.stats)
    assert metrics['piston_gateway_codec_frames_total{codec="8"}'] == 1
    assert metrics['piston_gateway_codec_records_total{codec="8"}'] == 2
    assert metrics['piston_gateway_codec_records_total{codec="16"}'] == 2
    assert metrics['piston_gateway_codec_records_total{codec="8E"}'] == 0
    assert metrics["piston_gateway_open_connections"] == 1
    assert metrics['piston_gateway_acknowledgement_seconds_bucket{le="+Inf"}'] == 2


def test_the_latency_histogram_counts_each_acknowledgement_in_every_bucket_above_it():
    stats = GatewayStats()
    for after_s in (0.0004, 0.004, 0.040, 99.0):
        stats.acknowledge(1, after_s)
    metrics = exposition(stats)
    bucket = "piston_gateway_acknowledgement_seconds_bucket"
    assert metrics[f'{bucket}{{le="0.001"}}'] == 1
    assert metrics[f'{bucket}{{le="0.005"}}'] == 2
    assert metrics[f'{bucket}{{le="0.05"}}'] == 3
    assert metrics[f'{bucket}{{le="10"}}'] == 3
    assert metrics[f'{bucket}{{le="+Inf"}}'] == 4
    assert (stats.acknowledgement_quantile_ms(0.5), stats.acknowledgement_quantile_ms(0.75)) == (5.0, 41.0)


def test_refusals_carry_their_reason_and_no_metric_carries_a_device():
    stats = GatewayStats()
    stats.refuse("bad_crc")
    stats.receive(CodecId.CODEC_12, 0)
    metrics = exposition(stats)
    assert metrics['piston_gateway_refusals_total{reason="bad_crc"}'] == 1
    assert not [name for name in metrics if "imei" in name or "vin" in name]

"""The device port over TLS, with a certificate made here."""

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingest.gateway.limits import Limits
from ingest.gateway.listening import tls_context
from telematics.errors import ConfigurationError
from tests.ingest.codec8 import wire
from tests.ingest.gateway.harness import KNOWN, Bench, Tracker

GOOD = wire.VENDOR_CODEC_8


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


async def test_a_device_is_served_over_tls_and_a_plain_one_is_not(files: tuple[Path, Path]):
    async with Bench(Limits(login_timeout_s=1.0), tls=tls_context(*files)) as bench:
        bench.producer.is_prompt = True
        trusted = ssl.create_default_context(cafile=str(files[0]))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", bench.port, ssl=trusted, server_hostname="localhost"
        )
        tracker = Tracker(reader, writer)
        await tracker.log_in()
        tracker.send(wire.VENDOR_CODEC_8_TWO_RECORDS)
        assert await tracker.receive(4) == b"\x00\x00\x00\x02"
        plain = await bench.connect()
        plain.send(b"\x00\x0f" + KNOWN.encode())
        assert not (await plain.until_closed()).startswith(b"\x01")
        await tracker.hang_up()
        await bench.until(lambda: bench.gateway.stats.open_connections == 0)


async def tls_tracker(bench: Bench, certificate: Path) -> Tracker:
    trusted = ssl.create_default_context(cafile=str(certificate))
    return Tracker(
        *await asyncio.open_connection("127.0.0.1", bench.port, ssl=trusted, server_hostname="localhost")
    )


async def test_a_handshake_that_nobody_finishes_has_a_place_and_loses_it_in_time(files: tuple[Path, Path]):
    async with Bench(Limits(max_connections=1, login_timeout_s=0.3), tls=tls_context(*files)) as bench:
        silent = await bench.connect()
        await bench.until(lambda: len(bench.gateway._reserved) == 1)
        refused = await bench.connect()
        assert await refused.until_closed() == b""
        assert bench.refusals == {"connection_limit": 1}
        assert await silent.until_closed() == b""
        await bench.until(lambda: bench.refusals == {"connection_limit": 1, "tls_handshake": 1})
        tracker = await tls_tracker(bench, files[0])
        await tracker.log_in()
        assert (bench.gateway.stats.connections, bench.gateway.stats.open_connections) == (3, 1)
        await tracker.hang_up()


async def test_a_peer_that_vanishes_amid_the_handshake_gives_its_place_back(files: tuple[Path, Path]):
    async with Bench(tls=tls_context(*files)) as bench:
        for hello in (b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"):
            peer = await bench.connect()
            peer.send(hello)
            await asyncio.sleep(0.02)
            peer.vanish()
        await bench.until(lambda: bench.refusals == {"tls_handshake": 3})
        assert not bench.gateway._reserved


@pytest.mark.parametrize(
    ("drops", "reason"),
    [
        pytest.param([b"\x00"], "login_timeout", id="amid the login"),
        pytest.param([wire.LOGIN], "idle_timeout", id="after the login"),
        pytest.param([wire.LOGIN, *(GOOD[at : at + 1] for at in range(40))], "frame_timeout", id="drips"),
    ],
)
async def test_slow_peers_end_over_tls_as_they_do_without(
    files: tuple[Path, Path], drops: list[bytes], reason: str
):
    limits = Limits(login_timeout_s=0.5, idle_timeout_s=0.2, frame_timeout_s=0.2)
    async with Bench(limits, tls=tls_context(*files)) as bench:
        tracker = await tls_tracker(bench, files[0])
        for drop in drops:
            tracker.send(drop)
            await asyncio.sleep(0.02)
        await tracker.until_closed()
        await bench.until(lambda: bench.gateway.stats.open_connections == 0)
        assert bench.refusals.pop(reason) == 1
        await tracker.hang_up()


async def test_draining_breaks_handshakes_off(files: tuple[Path, Path]):
    async with Bench(tls=tls_context(*files)) as bench:
        silent = await bench.connect()
        await bench.until(lambda: len(bench.gateway._reserved) == 1)
        await bench.drain(5.0)
        assert await silent.until_closed() == b""


def test_without_files_there_is_no_tls():
    assert tls_context(None, None) is None


def test_wrong_files_are_one_sentence_that_names_the_settings(files: tuple[Path, Path], tmp_path: Path):
    certificate, key = files
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for pair in ((certificate, None), (None, key), (key, certificate), (nonsense, key), (tmp_path, key)):
        with pytest.raises(ConfigurationError, match="PISTON_GATEWAY_TLS_KEY"):
            tls_context(*pair)

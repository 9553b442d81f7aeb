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


def test_without_files_there_is_no_tls():
    assert tls_context(None, None) is None


def test_wrong_files_are_one_sentence_that_names_the_settings(files: tuple[Path, Path], tmp_path: Path):
    certificate, key = files
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for pair in ((certificate, None), (None, key), (key, certificate), (nonsense, key), (tmp_path, key)):
        with pytest.raises(ConfigurationError, match="PISTON_GATEWAY_TLS_KEY"):
            tls_context(*pair)

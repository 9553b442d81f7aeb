"""S3Proxy, a real S3 server on a folder: fetched once into the programs folder, as Kafka is.

It checks signatures and keeps data and storage classes, but serves every class at once; what Glacier refuses,
another server shows (`glacier_endpoint`).
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from stack.install.debian import DebianArchive
from stack.install.fetch import run_tool
from stack.install.java import ensure_java
from stack.install.maven import ensure_maven, repository_options
from stack.install.programs import Recipe, install
from telematics.settings import Settings
from tests.stack_fixture import free_ports

VERSION = "4.1.0"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_LEFT_OUT = (
    "com.google.cloud", "io.grpc", "com.azure", "com.github.openstack4j.core",
    "com.github.openstack4j.core.connectors", "org.apache.sshd",
)  # fmt: skip
_EXCLUSIONS = "".join(
    f"<exclusion><groupId>{group}</groupId><artifactId>*</artifactId></exclusion>" for group in _LEFT_OUT
)
# nearest-wins picks an older jar of annotations than Jackson 3 needs
_POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>piston</groupId><artifactId>s3proxy</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies><dependency>
    <groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-annotations</artifactId>
    <version>2.22</version>
  </dependency></dependencies></dependencyManagement>
  <dependencies><dependency>
    <groupId>org.gaul</groupId><artifactId>s3proxy</artifactId><version>{VERSION}</version>
    <exclusions>{_EXCLUSIONS}</exclusions>
  </dependency></dependencies>
</project>
"""
_PATIENCE_S = 60.0


@contextmanager
def running(settings: Settings, folder: Path, key: str, secret: str) -> Iterator[str]:
    """The server on an empty folder; yields its address."""
    java = ensure_java(settings.programs, print)

    def build(target: Path) -> None:
        maven = ensure_maven(settings.programs, lambda: DebianArchive(target), print)
        pom = target / "pom.xml"
        pom.write_text(_POM)
        run_tool(
            [
                str(maven), "-q", "-B", *repository_options(target), "-f", str(pom), _PLUGIN,
                f"-DoutputDirectory={target}/libs", "-DincludeScope=runtime",
            ],
            f"fetching S3Proxy {VERSION}",
            "check that Maven reaches its repository (settings.xml, network)",
            environment=java.maven_environment(),
            cwd=target,
        )  # fmt: skip
        shutil.rmtree(target / ".repository", ignore_errors=True)

    programs = install(settings.programs, Recipe("s3proxy", VERSION, build), print)
    [port] = free_ports(1)
    data = folder / "data"
    data.mkdir()
    configuration = folder / "s3proxy.conf"
    configuration.write_text(
        f"s3proxy.authorization=aws-v4\ns3proxy.identity={key}\ns3proxy.credential={secret}\n"
        f"s3proxy.endpoint=http://127.0.0.1:{port}\ns3proxy.ignore-unknown-headers=true\n"
        f"jclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={data}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(java.executable), "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{programs}/libs/*",
                "org.gaul.s3proxy.Main", "--properties", str(configuration),
            ],
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _PATIENCE_S
        while not _answers(address):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "S3Proxy does not answer"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        httpx.get(address, timeout=1.0)
    except httpx.TransportError:
        return False
    return True

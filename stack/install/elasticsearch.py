"""Elasticsearch's minimal distribution, as a zip file from the Maven repository.

It is the server of the full distribution with the modules that a cluster needs and none besides, made by
Elastic for integration tests. What Piston asks of it (docs/search.md lists it) every Elasticsearch 8 has.
"""

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stack.errors import InstallError
from stack.install.debian import DebianArchive
from stack.install.fetch import run_tool
from stack.install.java import Java
from stack.install.maven import ensure_maven, repository_options
from stack.install.programs import Progress, Recipe, install

VERSION: Final = "8.19.21"
SHA256: Final = "215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a"
_ARTIFACT: Final = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


def ensure_elasticsearch(
    programs: Path, java: Java, archive: Callable[[], DebianArchive], progress: Progress
) -> Path:
    """The folder of the server: `bin`, `lib`, `modules`.

    Args:
        programs: where programs are installed.
        java: what Maven runs on.
        archive: brings Maven where there is none.
        progress: told of an installation.

    Raises:
        InstallError: Maven cannot be had, cannot fetch it, or fetched something else.
    """

    def build(target: Path) -> None:
        maven = ensure_maven(programs, archive, progress)
        fetched = target / ".fetched"
        run_tool(
            [
                str(maven), "-q", "-B", *repository_options(target), _PLUGIN, f"-Dartifact={_ARTIFACT}",
                f"-DoutputDirectory={fetched}", "-Dmdep.useBaseVersion=true",
            ],
            f"fetching Elasticsearch {VERSION}",
            "check that Maven reaches its repository (settings.xml, network), or run without: "
            "PISTON_WITH_SEARCH=false",
            environment=java.maven_environment(),
            cwd=target,
        )  # fmt: skip
        unpack(fetched / f"elasticsearch-{VERSION}.zip", target, SHA256)
        shutil.rmtree(fetched)
        shutil.rmtree(target / ".repository", ignore_errors=True)

    return install(programs, Recipe("elasticsearch", VERSION, build), progress)


def unpack(archive: Path, target: Path, sha256: str) -> None:
    """Unpack the zip file's one folder into the target, with its programs executable.

    Raises:
        InstallError: it is not the file that the hash names.
    """
    if not archive.exists():
        message = f"Maven ended well but brought no {archive.name}; check its settings.xml"
        raise InstallError(message)
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        message = (
            f"{archive.name} is not the one that was released: its SHA-256 is {found}; "
            "check which repository Maven asks (settings.xml) and remove the file from its cache"
        )
        raise InstallError(message)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(target)
    inside = target / archive.stem
    for entry in inside.iterdir():
        entry.rename(target / entry.name)
    inside.rmdir()
    for program in (target / "bin").iterdir():
        if not program.suffix:  # the others are for Windows
            program.chmod(0o755)
